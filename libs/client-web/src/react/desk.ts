/** Notification history and read marks from the service `desk`, over HTTP. */

import type { GetToken, TokenRequest } from "../token.ts";
import type { Level, Notification, NotificationMessage } from "./stores/notification.ts";
import type { NotificationApi, NotificationPage } from "./stores/notifications.ts";

export interface DeskOptions {
  /** Base URL of the desk; empty: the page's own origin. */
  readonly url: string;
  readonly getToken: GetToken;
}

interface Item {
  readonly id: string;
  readonly level: Level;
  readonly timestamp: string;
  readonly read: boolean;
  readonly message: NotificationMessage;
}

interface Page {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
  readonly unreadCount: number;
}

const TIMEOUT_MS = 10_000;
const PAGE = 50;

/**
 *     <TapewireProvider client={client} notifications={deskNotifications({ url: "", getToken })}>
 */
export function deskNotifications({ url, getToken }: DeskOptions): NotificationApi {
  const send = async (method: string, path: string, reason: TokenRequest["reason"]) => {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const headers = { Authorization: `Bearer ${await getToken({ reason, signal })}` };
    return fetch(`${url}/v1/notifications${path}`, { method, headers, signal });
  };
  const json = async <T>(method: string, path: string): Promise<T> => {
    let response = await send(method, path, "connect");
    if (response.status === 401) response = await send(method, path, "expired");
    if (!response.ok) throw new Error(`notifications: ${response.status} ${response.statusText}`);
    return (await response.json()) as T;
  };
  return {
    async list(cursor): Promise<NotificationPage> {
      const query = new URLSearchParams({ limit: String(PAGE), ...(cursor === null ? {} : { cursor }) });
      const { items, nextCursor, unreadCount } = await json<Page>("GET", `?${query}`);
      return { items: items.map(fromDesk), nextCursor, unreadCount };
    },
    async markRead(ids) {
      let unread = 0;
      for (const id of ids) {
        ({ unreadCount: unread } = await json<Page>("POST", `/${encodeURIComponent(id)}/read`));
      }
      return unread;
    },
    async markAllRead() {
      return (await json<Page>("POST", "/read-all")).unreadCount;
    },
  };
}

/** What waits for an acknowledgement comes over the socket; of the rest of history that is settled. */
function fromDesk({ id, level, timestamp, read, message }: Item): Notification {
  return { id, level, timestamp, isRead: read, ack: message.ack === true ? "acknowledged" : null, message };
}
