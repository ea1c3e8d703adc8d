/** What the service `desk` keeps, over HTTP: notifications, preferences, decisions, P&L. */

import type { AlgorithmDecision, Preferences } from "../contracts.gen.ts";
import type { GetToken, TokenRequest } from "../token.ts";
import type { AccountApi, AccountDay } from "./stores/account.ts";
import type { DecisionApi } from "./stores/decisions.ts";
import type { HistoryApi } from "./stores/history.ts";
import type { Level, Notification, NotificationMessage } from "./stores/notification.ts";
import type { NotificationApi, NotificationPage } from "./stores/notifications.ts";
import type { PreferencesApi } from "./stores/preferences.ts";

export interface DeskOptions {
  /** Base URL of the desk; empty: the page's own origin. */
  readonly url: string;
  readonly getToken: GetToken;
}

export interface DeskApi extends PreferencesApi, DecisionApi, HistoryApi, AccountApi {
  readonly notifications: NotificationApi;
}

interface Item {
  readonly id: string;
  readonly level: Level;
  readonly timestamp: string;
  readonly read: boolean;
  readonly message: NotificationMessage;
}

interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

interface Unread {
  readonly unreadCount: number;
}

interface Pnl {
  readonly bucketS: number;
  readonly points: readonly { readonly time: string; readonly pnl: number; readonly equity: number | null }[];
}

const TIMEOUT_MS = 10_000;
const PAGE = 50;
const DECISIONS = 200;
const IDS = 1000; // in one request, as many as the desk takes

/**
 *     <TapewireProvider client={client} desk={deskApi({ url: "", getToken })}>
 */
export function deskApi(options: DeskOptions): DeskApi {
  const call = caller(options);
  return {
    notifications: notificationsOf(call),
    preferences: () => call<Preferences>("GET", "/preferences"),
    changePreferences: (change) => call<Preferences>("PATCH", "/preferences", change),
    async decisions(of) {
      const path = "sessionId" in of ? `/sessions/${encodeURIComponent(of.sessionId)}/decisions` : "/decisions";
      const query = new URLSearchParams({ limit: String(DECISIONS), ..."userId" in of ? { user: of.userId } : {} });
      return (await call<Page<AlgorithmDecision>>("GET", `${path}?${query}`)).items;
    },
    async pnl(sessionId, points) {
      const path = `/sessions/${encodeURIComponent(sessionId)}/pnl?points=${points}`;
      const history = await call<Pnl>("GET", path);
      return {
        bucketS: history.bucketS,
        points: history.points.map(({ time, pnl, equity }) => ({
          time: Date.parse(time) / 1000,
          pnl,
          ...(equity === null ? {} : { equity }),
        })),
      };
    },
    account: (timeZone) => call<AccountDay>("GET", `/account?${new URLSearchParams({ timeZone })}`),
  };
}

/** Notifications only: `<TapewireProvider notifications={deskNotifications({ url: "", getToken })}>`. */
export function deskNotifications(options: DeskOptions): NotificationApi {
  return notificationsOf(caller(options));
}

type Call = <T>(method: string, path: string, body?: unknown) => Promise<T>;

function caller({ url, getToken }: DeskOptions): Call {
  const send = async (method: string, path: string, body: unknown, reason: TokenRequest["reason"]) => {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const headers: Record<string, string> = { Authorization: `Bearer ${await getToken({ reason, signal })}` };
    if (body === undefined) return fetch(`${url}/v1${path}`, { method, headers, signal });
    headers["Content-Type"] = "application/json";
    return fetch(`${url}/v1${path}`, { method, headers, body: JSON.stringify(body), signal });
  };
  return async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    let response = await send(method, path, body, "connect");
    if (response.status === 401) response = await send(method, path, body, "expired");
    if (!response.ok) throw new Error(`desk: ${await reasonOf(response)}`);
    return (await response.json()) as T;
  };
}

async function reasonOf(response: Response): Promise<string> {
  try {
    const { message } = (await response.json()) as { message?: unknown };
    if (typeof message === "string") return message;
  } catch {
    // not the desk's own words
  }
  return `${response.status} ${response.statusText}`;
}

function notificationsOf(call: Call): NotificationApi {
  const some = async (path: string, ids: readonly string[], more: object = {}) => {
    let { unreadCount } = await call<Unread>("POST", path, { ids: ids.slice(0, IDS), ...more });
    for (let begin = IDS; begin < ids.length; begin += IDS) {
      ({ unreadCount } = await call<Unread>("POST", path, { ids: ids.slice(begin, begin + IDS) }));
    }
    return unreadCount;
  };
  return {
    async list(cursor): Promise<NotificationPage> {
      const query = new URLSearchParams({ limit: String(PAGE), ...(cursor === null ? {} : { cursor }) });
      const { items, ...page } = await call<Page<Item> & Unread>("GET", `/notifications?${query}`);
      return { items: items.map(fromDesk), ...page };
    },
    markRead: (ids) => some("/notifications/read", ids),
    markAllRead: async () => (await call<Unread>("POST", "/notifications/read-all")).unreadCount,
    archive: (ids, all) => some("/notifications/archive", ids, { all }),
  };
}

/** What waits for an acknowledgement comes over the socket; of the rest of history that is settled. */
function fromDesk({ id, level, timestamp, read, message }: Item): Notification {
  return { id, level, timestamp, isRead: read, ack: message.ack === true ? "acknowledged" : null, message };
}
