/** The connection's states, as one table. An event that a state does not list changes nothing. */

export type ConnectionState =
  | "idle" //         not wanted: before connect(), after disconnect()
  | "connecting" //   first try
  | "connected" //    welcomed by the server
  | "reconnecting" // lost; trying, or waiting to try (nextRetryAt)
  | "offline" //      lost, and the browser says that there is no network; tries go on all the same
  | "failed"; //      the server refused, or maxAttempts is used up: only connect() or reconnect() helps

export type StateEvent = "connect" | "welcome" | "loss" | "cut" | "refusal" | "disconnect";

export const TRANSITIONS: Readonly<
  Record<ConnectionState, Readonly<Partial<Record<StateEvent, ConnectionState>>>>
> = {
  idle: { connect: "connecting" },
  connecting: { welcome: "connected", loss: "reconnecting", cut: "offline", refusal: "failed", disconnect: "idle" },
  connected: { loss: "reconnecting", cut: "offline", refusal: "failed", disconnect: "idle" },
  reconnecting: { welcome: "connected", loss: "reconnecting", cut: "offline", refusal: "failed", disconnect: "idle" },
  offline: { welcome: "connected", loss: "reconnecting", cut: "offline", refusal: "failed", disconnect: "idle" },
  failed: { connect: "connecting", disconnect: "idle" },
};

export function next(state: ConnectionState, event: StateEvent): ConnectionState {
  return TRANSITIONS[state][event] ?? state;
}

export type TransportName = "websocket" | "sse" | "long-poll";

/** What is known of the connection at one instant; frozen, and the same object until it changes. */
export interface ConnectionInfo {
  readonly state: ConnectionState;
  /** Close code of the last loss or refusal; null while connected. */
  readonly code: number | null;
  /** Why the connection was lost or refused, in words; null while connected. */
  readonly reason: string | null;
  /** Tries since the connection was last stable. */
  readonly attempt: number;
  /** When the next try starts, ms since the epoch; null when none is scheduled. */
  readonly nextRetryAt: number | null;
  readonly transport: TransportName | null;
  /** Last measured round trip of a heartbeat, ms. */
  readonly latencyMs: number | null;
  /** When the last event arrived, ms since the epoch, to the second. */
  readonly lastEventAt: number | null;
  /** Not connected, or silent for longer than the server's heartbeat allows. */
  readonly isStale: boolean;
  /** Whose connection it is, as the server's welcome said; kept while reconnecting. */
  readonly userId: string | null;
  readonly clientId: string | null;
}

export const INITIAL: ConnectionInfo = Object.freeze({
  state: "idle",
  code: null,
  reason: null,
  attempt: 0,
  nextRetryAt: null,
  transport: null,
  latencyMs: null,
  lastEventAt: null,
  isStale: true,
  userId: null,
  clientId: null,
});
