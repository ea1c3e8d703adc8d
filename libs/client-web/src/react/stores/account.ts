/** Equity and day P&L of the connection's user: from the desk, carried on by what comes. */

import type { WebSocketClient } from "../../client.ts";
import type { SessionCompleted, SessionStarted, SessionStatus } from "../../contracts.gen.ts";
import type { Delivered } from "../../messages.ts";
import { Carried } from "./carried.ts";

/** What one session has to do with the account today. */
export interface AccountSession {
  readonly sessionId: string;
  readonly open: boolean;
  /** RFC 3339: when it stood there. */
  readonly at: string;
  readonly pnl: number;
  /** Before the day began; 0 if the session had not begun. */
  readonly pnlBefore: number;
  readonly equity: number | null;
}

export interface AccountDay {
  readonly userId: string;
  /** RFC 3339. */
  readonly dayEnd: string;
  readonly sessions: readonly AccountSession[];
}

export interface AccountApi {
  account(timeZone: string): Promise<AccountDay>;
}

export interface Account {
  /** Of the open sessions together; where none told its own, of the one heard of last. */
  readonly equity: number | null;
  /** What the sessions of the day won since it began; null until it is known. */
  readonly dayPnL: number | null;
  readonly isLoading: boolean;
  readonly error: Error | null;
}

export const NO_ACCOUNT: Account = Object.freeze({ equity: null, dayPnL: null, isLoading: false, error: null });
const LONGEST_MS = 2 ** 31 - 1; // of a timer

type Told = (SessionStarted | SessionStatus | SessionCompleted) & Delivered;
type Sessions = ReadonlyMap<string, AccountSession>;

/** The sessions after one of their messages; the figures of one that ended do not change. Pure. */
export function accounted(sessions: Sessions, message: Told): Sessions {
  const { sessionId, timestamp: at } = message;
  const known = sessions.get(sessionId);
  const before = known ?? { sessionId, open: true, at, pnl: 0, pnlBefore: 0, equity: null };
  const set = (change: Partial<AccountSession>) => new Map(sessions).set(sessionId, { ...before, ...change });
  switch (message.type) {
    case "session_started":
      return set({ open: true });
    case "session_completed":
      return set({ open: false, at, pnl: message.summary?.finalPnL ?? before.pnl });
    case "session_status": {
      if (!before.open || Date.parse(at) < Math.floor(Date.parse(before.at) / 1000) * 1000) return sessions;
      const { currentPnL: pnl, equity = before.equity } = message.data;
      // Of one that the desk could not tell us about, its status says whether it goes on.
      const isOpen = message.status === "active" || message.status === "paused";
      return set({ at, pnl, equity, ...(known ? {} : { open: isOpen }) });
    }
  }
}

export function equityOf(sessions: Iterable<AccountSession>): number | null {
  const told = [...sessions].filter(({ equity }) => equity !== null);
  const opened = told.filter(({ open }) => open);
  if (opened.length > 0) return opened.reduce((sum, { equity }) => sum + (equity ?? 0), 0);
  told.sort((a, b) => Date.parse(a.at) - Date.parse(b.at) || a.sessionId.localeCompare(b.sessionId));
  return told.at(-1)?.equity ?? null;
}

export function dayPnLOf(sessions: Iterable<AccountSession>): number {
  return [...sessions].reduce((sum, { pnl, pnlBefore }) => sum + pnl - pnlBefore, 0);
}

export class AccountStore {
  readonly #carried: Carried<Sessions, Told, Account>;
  #midnight: ReturnType<typeof setTimeout> | undefined;

  constructor(client: WebSocketClient, api: AccountApi | null, timeZone: string) {
    this.#carried = new Carried<Sessions, Told, Account>({
      client,
      initial: new Map(),
      ask: api && (async () => this.#day(await api.account(timeZone))),
      carry: accounted,
      listen: (take) => {
        const own = (message: Told) => {
          if (message.userId === client.info.userId) take(message);
        };
        return [
          client.onMessage("session_started", own),
          client.onMessage("session_status", own),
          client.onMessage("session_completed", own),
          () => clearTimeout(this.#midnight),
        ];
      },
      view: (known, { isKnown, isLoading, error }) => {
        const sessions = [...known.values()];
        return { equity: equityOf(sessions), dayPnL: isKnown ? dayPnLOf(sessions) : null, isLoading, error };
      },
    });
  }

  subscribe(user: string | null, listener: () => void): () => void {
    return this.#carried.subscribe(user === null ? null : `sessions:${user}`, listener);
  }

  readonly getSnapshot = (): Account => this.#carried.getSnapshot();

  /** The sessions of a day, which is asked for again when it ends. */
  #day({ dayEnd, sessions }: AccountDay): Sessions {
    clearTimeout(this.#midnight);
    const left = Date.parse(dayEnd) - Date.now();
    if (left > 0 && this.#carried.isAttached) {
      this.#midnight = setTimeout(() => void this.#carried.load(), Math.min(left, LONGEST_MS));
    }
    return new Map(sessions.map((session) => [session.sessionId, session]));
  }
}
