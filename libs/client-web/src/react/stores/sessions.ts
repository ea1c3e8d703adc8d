/** Trading sessions as their events leave them. */

import type { WebSocketClient } from "../../client.ts";
import type { SessionCompleted, SessionMetrics, SessionStarted, SessionStatus } from "../../contracts.gen.ts";
import type { Delivered } from "../../messages.ts";
import { FrameBatch, Signal } from "./frames.ts";
import { refreshed } from "./freshness.ts";
import type { Freshness } from "./freshness.ts";

/** What is known of a session. Figures that nobody sent are missing, not zero. */
export interface Session extends Partial<Freshness> {
  readonly sessionId: string;
  readonly userId: string;
  readonly status: SessionStatus["status"];
  readonly data?: SessionMetrics;
  /** RFC 3339; from `session_started`. */
  readonly startedAt?: string;
  readonly algorithmId?: string;
  readonly symbols?: readonly string[];
  readonly initialEquity?: number;
  readonly lossLimit?: number;
  readonly timeLimitS?: number;
  readonly summary?: SessionCompleted["summary"];
  /** RFC 3339: of which instant `status` and `data` are. */
  readonly statusAt?: string;
}

type SessionMessage = (SessionStarted | SessionStatus | SessionCompleted) & Delivered;

const RANK: Record<Session["status"], number> = {
  active: 0,
  paused: 0,
  emergency_stopped: 1,
  completed: 2,
  expired: 2,
};

/** The session after one of its messages. Pure. */
export function advanced(before: Session | undefined, message: SessionMessage, now: number): Session {
  const base: Session = before ?? { sessionId: message.sessionId, userId: message.userId, status: "active" };
  switch (message.type) {
    case "session_started": {
      const { algorithmId, symbols, initialEquity, lossLimit, timeLimitS, timestamp } = message;
      return given({ ...base, startedAt: timestamp }, { algorithmId, symbols, initialEquity, lossLimit, timeLimitS });
    }
    case "session_completed":
      return given({ ...base, status: message.status }, { summary: message.summary });
    case "session_status": {
      // A snapshot may have been on its way while something newer came.
      if (message.snapshot && base.statusAt && Date.parse(message.timestamp) < Date.parse(base.statusAt)) return base;
      const freshness = base.receivedAt === undefined ? undefined : (base as Freshness);
      return {
        ...base,
        // A status that was on its way when the session ended does not open it again.
        status: RANK[message.status] < RANK[base.status] && !message.snapshot ? base.status : message.status,
        data: message.data,
        statusAt: message.timestamp,
        ...refreshed(freshness, now),
      };
    }
  }
}

function given(base: Session, fields: { [K in keyof Session]?: Session[K] | undefined }): Session {
  return { ...base, ...Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) };
}

function startOf({ startedAt }: Session): number {
  return startedAt === undefined ? 0 : Date.parse(startedAt);
}

const NONE: readonly Session[] = [];
const ENDED = 100; // kept of those that ended; of what is older the desk knows

export class SessionStore {
  readonly #client: WebSocketClient;
  readonly #sessions = new Map<string, Session>();
  readonly #signal = new Signal();
  readonly #batch = new FrameBatch(() => this.#commit());
  #committed: ReadonlyMap<string, Session> = new Map();
  #list: readonly Session[] = NONE;
  #isAttached = false;

  constructor(client: WebSocketClient) {
    this.#client = client;
  }

  /** Subscribes to a channel (`session:s-17`, `sessions:alice`) as long as somebody listens. */
  subscribe(channel: string | null, listener: () => void): () => void {
    this.#attach();
    const release = channel === null ? () => {} : this.#client.lease(channel);
    const stop = this.#signal.subscribe(listener);
    return () => {
      stop();
      release();
    };
  }

  session(sessionId: string): Session | null {
    return this.#committed.get(sessionId) ?? null;
  }

  /** All that were heard of, newest first. */
  all(): readonly Session[] {
    return this.#list;
  }

  #attach(): void {
    if (this.#isAttached) return;
    this.#isAttached = true;
    const take = (message: SessionMessage) => {
      const before = this.#sessions.get(message.sessionId);
      this.#sessions.set(message.sessionId, advanced(before, message, Date.now()));
      this.#batch.schedule();
    };
    this.#client.onMessage("session_started", take);
    this.#client.onMessage("session_status", take);
    this.#client.onMessage("session_completed", take);
  }

  #commit(): void {
    const ended = [...this.#sessions.values()].filter(({ status }) => RANK[status] > 0);
    for (const { sessionId } of ended.slice(0, -ENDED)) this.#sessions.delete(sessionId); // heard of first
    this.#committed = new Map(this.#sessions);
    this.#list = [...this.#sessions.values()].sort((a, b) => startOf(b) - startOf(a));
    this.#signal.notify();
  }
}
