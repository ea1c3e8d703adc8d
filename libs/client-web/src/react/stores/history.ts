/** P&L of a session over time: from the desk, carried on by what comes. */

import type { WebSocketClient } from "../../client.ts";
import type { SessionCompleted, SessionStatus } from "../../contracts.gen.ts";
import type { Delivered } from "../../messages.ts";
import { Carried } from "./carried.ts";

export interface PnlPoint {
  /** When its bucket begins, seconds since 1970. */
  readonly time: number;
  readonly pnl: number;
  readonly equity?: number;
}

/** Oldest first; times strictly increasing, multiples of `bucketS`. */
export interface PnlHistory {
  readonly bucketS: number;
  readonly points: readonly PnlPoint[];
}

export interface HistoryApi {
  pnl(sessionId: string, points: number): Promise<PnlHistory>;
}

export interface SessionHistory extends PnlHistory {
  readonly isLoading: boolean;
  /** Why history could not be had; what came since the page was opened is there all the same. */
  readonly error: Error | null;
}

export const NO_HISTORY: SessionHistory = Object.freeze({ bucketS: 1, points: [], isLoading: false, error: null });
const POINTS = 600; // more than a chart has columns to draw them in

type Told = (SessionStatus | SessionCompleted) & Delivered;

/** The point that a message stands for, in seconds; null when it tells no P&L. */
export function pointOf(message: Told): PnlPoint | null {
  const time = Math.floor(Date.parse(message.timestamp) / 1000);
  if (message.type === "session_status") {
    const { currentPnL: pnl, equity } = message.data;
    return { time, pnl, ...(equity === undefined ? {} : { equity }) };
  }
  return message.summary === undefined ? null : { time, pnl: message.summary.finalPnL };
}

/**
 * The history with one more point: the newest of its bucket. One that is older than the last is left out,
 * and past twice `POINTS` the buckets become twice as wide. Pure.
 */
export function carriedOn(history: PnlHistory, point: PnlPoint): PnlHistory {
  const { bucketS, points } = history;
  const time = point.time - (point.time % bucketS);
  const last = points.at(-1);
  if (last && time < last.time) return history;
  const carried = [...(last?.time === time ? points.slice(0, -1) : points), { ...point, time }];
  return carried.length > 2 * POINTS ? widened({ bucketS, points: carried }) : { bucketS, points: carried };
}

function widened({ bucketS, points }: PnlHistory): PnlHistory {
  const wide = bucketS * 2;
  const newest = new Map(points.map((point) => [point.time - (point.time % wide), point]));
  return { bucketS: wide, points: [...newest].map(([time, point]) => ({ ...point, time })) };
}

export class HistoryStore {
  readonly #carried: Carried<PnlHistory, PnlPoint, SessionHistory>;
  readonly #channel: string;

  constructor(client: WebSocketClient, api: HistoryApi | null, sessionId: string) {
    this.#channel = `session:${sessionId}`;
    this.#carried = new Carried<PnlHistory, PnlPoint, SessionHistory>({
      client,
      initial: NO_HISTORY,
      ask: api && (() => api.pnl(sessionId, POINTS)),
      carry: carriedOn,
      listen: (take) => {
        const own = (message: Told) => {
          const point = message.sessionId === sessionId ? pointOf(message) : null;
          if (point) take(point);
        };
        return [client.onMessage("session_status", own), client.onMessage("session_completed", own)];
      },
      view: ({ bucketS, points }, { isLoading, error }) => ({ bucketS, points, isLoading, error }),
    });
  }

  readonly subscribe = (listener: () => void): (() => void) => this.#carried.subscribe(this.#channel, listener);

  readonly getSnapshot = (): SessionHistory => this.#carried.getSnapshot();
}
