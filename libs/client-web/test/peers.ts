/** The server's end of one connection in a conformance transcript, over each transport. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { WebSocket } from "ws";

export interface Peer {
  send(text: string): void;
  close(code: number): void;
  /** Cuts it, as a broken network does. */
  drop(): void;
}

export interface PeerEvents {
  text(text: string): void;
  closed(code: number): void;
}

export function webSocketPeer(socket: WebSocket, events: PeerEvents): Peer {
  socket.on("message", (data: Buffer) => events.text(data.toString()));
  socket.on("close", (code) => events.closed(code));
  return { send: (text) => socket.send(text), close: (code) => socket.close(code), drop: () => socket.terminate() };
}

/** A connection that is streamed or polled; the request that opened it is still to be answered. */
export class HttpPeer implements Peer {
  readonly #events: PeerEvents;
  readonly #streams: boolean;
  #response: ServerResponse | null;
  #messages: { number: number; text: string }[] = [];
  #newest = 0;
  #close: { code: number; reason: string } | null = null;
  isDropped = false;

  constructor(request: IncomingMessage, response: ServerResponse, events: PeerEvents) {
    this.#events = events;
    this.#streams = request.url!.startsWith("/v1/stream");
    this.#response = response;
    if (this.#streams) {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.flushHeaders();
    }
  }

  send(text: string): void {
    this.#newest += 1;
    if (this.#streams) this.#response?.write(`id: ${this.#newest}\ndata: ${text}\n\n`);
    else {
      this.#messages.push({ number: this.#newest, text });
      this.#answer();
    }
  }

  close(code: number): void {
    this.#close = { code, reason: "" };
    if (this.#streams) this.#response?.end(`event: close\ndata: ${JSON.stringify(this.#close)}\n\n`);
    else this.#answer();
  }

  drop(): void {
    this.isDropped = true;
    this.#response?.destroy();
  }

  poll(response: ServerResponse, cursor: number): void {
    this.#messages = this.#messages.filter(({ number }) => number > cursor);
    this.#response = response;
    this.#answer();
  }

  async post(request: IncomingMessage): Promise<void> {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    for (const line of body.split("\n")) if (line) this.#events.text(line);
  }

  leave(): void {
    this.#events.closed(1000);
  }

  #answer(): void {
    if (!this.#response || (this.#messages.length === 0 && !this.#close)) return;
    const response = this.#response;
    this.#response = null;
    const messages = this.#messages.map(({ text }) => (isJson(text) ? text : JSON.stringify(text)));
    const close = this.#close ? `,"close":${JSON.stringify(this.#close)}` : "";
    response.writeHead(200, { "Content-Type": "application/json" });
    response.end(`{"cursor":${this.#newest},"messages":[${messages.join()}]${close}}`);
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
