/** What carries messages: one interface for WebSocket and for whatever stands in for it. */

import type { TransportName } from "./state.ts";

export interface TransportRequest {
  /** `ws:`, `wss:`, `http:` or `https:`, without query. */
  readonly url: string;
  readonly query: Readonly<Record<string, string>>;
  readonly token: string;
}

export interface TransportEvents {
  /** One message of the server. */
  message(text: string): void;
  /** The server can be reached, though it has said nothing yet. */
  opened?(): void;
  /** A better transport may be had: worth a new connection. */
  better?(): void;
  /** The end; called at most once, and nothing after it. */
  closed(code: number, reason: string): void;
}

export interface Transport {
  readonly name: TransportName;
  /** Hands one message over; false when it cannot be (closing). */
  send(text: string): boolean;
  /** Ends the connection from our side; no event follows. */
  close(code?: number, reason?: string): void;
}

/** Starts a connection. Authenticates by itself: the server's `welcome` is the first message. */
export type OpenTransport = (request: TransportRequest, events: TransportEvents) => Transport;
