/** How a client is made. */

import type { Backoff } from "./backoff.ts";
import type { FallbackOptions } from "./ladder.ts";
import type { KeyValueStore, Platform } from "./platform.ts";
import type { GetToken } from "./token.ts";
import type { OpenTransport } from "./transport.ts";
import type { WebSocketConstructor } from "./websocket.ts";

export interface ClientOptions {
  /** The edge's socket, such as `wss://desk.example/ws`; of several, the next one is tried after each failure or loss. */
  readonly url: string | readonly string[];
  /** False: several URLs are tried in the order given, not in one of chance. */
  readonly shuffle?: boolean;
  /** The only way to a token; called for each connection and before a token expires, once at a time. */
  readonly getToken: GetToken;
  /** Channels to subscribe to from the start. */
  readonly channels?: readonly string[];
  /**
   * Names this device: durable subscriptions and a tray of its own. Left out, each browser tab keeps
   * one of its own; `null` does without, as does a program without storage.
   */
  readonly clientId?: string | null;
  /** `"own"`: a critical inbox apart from the user's, for a program rather than a person. */
  readonly inbox?: "own";
  /** False: alerts count as acknowledged when `ack(id)` says so, not when the handlers returned. */
  readonly autoAck?: boolean;
  /** Failed tries in a row before the client gives up; unlimited when left out. */
  readonly maxAttempts?: number;
  readonly backoff?: Partial<Backoff>;
  /** How long a connection lasts before the next loss counts as the first again, ms. */
  readonly stableMs?: number;
  /** What is added to the server's heartbeat interval before silence counts as a loss, ms. */
  readonly heartbeatGraceMs?: number;
  /** Where handled ids are remembered; `localStorage` when left out, `null` for memory only. */
  readonly storage?: KeyValueStore | null;
  /** A handler threw. Reported like an uncaught error when left out. */
  readonly onError?: (error: unknown, message: { type: string }) => void;
  /** Another WebSocket than the global one. */
  readonly WebSocket?: WebSocketConstructor;
  /**
   * When something stands in for a WebSocket that cannot be opened, and for how long; `false`: never.
   * A client with a `WebSocket` of its own falls back only if it has a `fetch` of its own, too.
   */
  readonly fallback?: FallbackOptions | false;
  /** Another `fetch` than the global one, for what stands in for a WebSocket. */
  readonly fetch?: typeof globalThis.fetch;
  readonly transport?: OpenTransport;
  readonly platform?: Partial<Platform>;
}

export interface StopRequest {
  readonly sessionId: string;
  /** Whose session; the token's subject when left out. */
  readonly userId?: string;
  readonly mode?: "halt" | "reduce_only" | "flatten";
  readonly reason?: string;
  /** The same key again is the same request, not a second one. Made when left out. */
  readonly idempotencyKey?: string;
}

export interface SendOptions {
  /** Keep the message while there is no connection; commands are kept only when this says so. */
  readonly queue?: boolean;
  /** How long a kept message stays worth sending, ms. */
  readonly ttlMs?: number;
}
