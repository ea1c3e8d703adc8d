/** The server's end of one fake connection. */

import type { ClientFrame } from "../contracts.gen.ts";
import type { FakeServer } from "./server.ts";
import type { ClientEnd, SocketPeer } from "./socket.ts";

export interface Handshake {
  readonly url: string;
  readonly query: Readonly<Record<string, string>>;
  /** From the subprotocol; null until `authenticate` brings it. */
  readonly token: string | null;
}

const BEARER = "bearer.";

export class FakeConnection implements SocketPeer {
  /** What the client sent, in order. */
  readonly frames: ClientFrame[] = [];
  readonly channels = new Set<string>();
  /** The number of the newest message whose receipt was proved; of streams and polls. */
  proved = 0;
  handshake: Handshake = { url: "", query: {}, token: null };
  isOpen = false;
  /** The code with which the client left; null while it has not. */
  leftWith: number | null = null;
  readonly #server: FakeServer;
  #socket: ClientEnd | null = null;

  constructor(server: FakeServer) {
    this.#server = server;
  }

  /** The frames of one type that the client sent, in order. */
  sent<T extends ClientFrame["type"]>(type: T): Extract<ClientFrame, { type: T }>[] {
    return this.frames.filter((frame) => frame.type === type) as Extract<ClientFrame, { type: T }>[];
  }

  /** Sends a message, or a text as it is. */
  send(message: object | string): void {
    if (this.isOpen) this.#socket!.arrived(typeof message === "string" ? message : JSON.stringify(message));
  }

  /** Closes the connection with this code. */
  close(code: number, reason = ""): void {
    this.isOpen = false;
    this.#socket?.closed(code, reason);
  }

  /** Cuts the connection, as a broken network does. */
  drop(): void {
    this.close(1006);
  }

  connecting(socket: ClientEnd, url: string, protocols: readonly string[]): void {
    this.#socket = socket;
    const { origin, pathname, searchParams } = new URL(url);
    const bearer = protocols.find((protocol) => protocol.startsWith(BEARER));
    this.handshake = {
      url: origin + pathname,
      query: Object.fromEntries(searchParams),
      token: bearer?.slice(BEARER.length) ?? null,
    };
    const refusal = this.#server.judge(this.handshake);
    if (refusal !== null) return this.close(refusal);
    this.isOpen = true;
    socket.opened();
    if (this.handshake.token !== null) this.#server.entered(this);
  }

  received(text: string): void {
    if (!this.isOpen) return;
    const frame = JSON.parse(text) as ClientFrame;
    this.frames.push(frame);
    if (frame.type === "authenticate") {
      this.handshake = { ...this.handshake, token: frame.token };
      this.#server.entered(this);
    } else {
      this.#server.answer(this, frame);
    }
  }

  left(code: number): void {
    this.isOpen = false;
    this.leftWith = code;
  }
}
