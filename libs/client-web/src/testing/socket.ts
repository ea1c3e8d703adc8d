/** The client's end of a fake connection: a WebSocket that speaks to a `FakeConnection`. */

import type { WebSocketLike } from "../websocket.ts";

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 3;

/** What the server's end speaks to. */
export interface ClientEnd {
  opened(): void;
  arrived(text: string): void;
  closed(code: number, reason: string): void;
}

export interface SocketPeer {
  /** The client connects; accept with `opened`, refuse with `closed`. */
  connecting(socket: ClientEnd, url: string, protocols: readonly string[]): void;
  received(text: string): void;
  left(code: number): void;
}

/** Everything arrives in a microtask of its own, as from a network: never inside the caller's turn. */
export class FakeSocket implements WebSocketLike, ClientEnd {
  readyState = CONNECTING;
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly #peer: SocketPeer;

  constructor(peer: SocketPeer, url: string, protocols: readonly string[]) {
    this.#peer = peer;
    queueMicrotask(() => {
      if (this.readyState === CONNECTING) this.#peer.connecting(this, url, protocols);
    });
  }

  send(text: string): void {
    if (this.readyState !== OPEN) throw new Error("the socket is not open");
    queueMicrotask(() => this.#peer.received(text));
  }

  close(code = 1005): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    queueMicrotask(() => this.#peer.left(code));
  }

  opened(): void {
    this.readyState = OPEN;
    this.onopen?.({} as never);
  }

  arrived(text: string): void {
    queueMicrotask(() => this.onmessage?.({ data: text } as never));
  }

  closed(code: number, reason: string): void {
    if (this.readyState === CLOSED) return;
    queueMicrotask(() => {
      this.readyState = CLOSED;
      this.onclose?.({ code, reason } as never);
    });
  }
}
