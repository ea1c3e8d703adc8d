/** The fake server over HTTP: event streams, polls and posts, as a `fetch` for the client. */

import { isFrame } from "../messages.ts";
import type { FakeConnection } from "./connection.ts";
import type { FakeServer } from "./server.ts";
import type { ClientEnd } from "./socket.ts";

const encoder = new TextEncoder();

/** One connection's messages on their way, numbered. */
class HttpEnd implements ClientEnd {
  readonly #waiting: { number: number; text: string }[] = [];
  #number = 0;
  #end: { code: number; reason: string } | null = null;
  #stream: ReadableStreamDefaultController<Uint8Array> | null = null;
  #look = () => {};
  id = "";

  opened(): void {}

  arrived(text: string): void {
    const message = JSON.parse(text) as { type: string; connectionId?: string };
    this.id ||= message.connectionId ?? "";
    const number = (this.#number += 1);
    if (!this.#stream) this.#waiting.push({ number, text });
    this.#write(`id: ${number}\ndata: ${text}\n\n`);
    if (!isFrame(message)) this.#write(`event: ping\ndata: ${number}\n\n`);
    this.#look();
  }

  closed(code: number, reason: string): void {
    if (this.#end) return;
    this.#end = { code, reason };
    if (code === 1006) this.#stream?.error(new TypeError("network error"));
    else {
      this.#write(`event: close\ndata: ${JSON.stringify(this.#end)}\n\n`);
      this.#stream?.close();
    }
    this.#stream = null;
    this.#look();
  }

  get ended() {
    return this.#end;
  }

  stream(): Response {
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void (this.#stream = controller) });
    for (const { number, text } of this.#waiting.splice(0)) this.#write(`id: ${number}\ndata: ${text}\n\n`);
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }

  async poll(cursor: number, signal: AbortSignal | null | undefined): Promise<Response> {
    while (this.#waiting.length > 0 && this.#waiting[0]!.number <= cursor) this.#waiting.shift();
    while (this.#waiting.length === 0 && !this.#end && !signal?.aborted) {
      await new Promise<void>((resolve) => {
        this.#look = () => {
          signal?.removeEventListener("abort", this.#look);
          resolve();
        };
        signal?.addEventListener("abort", this.#look);
      });
    }
    if (signal?.aborted || this.#end?.code === 1006) throw new TypeError("network error");
    const batch = this.#waiting.map(({ text }) => JSON.parse(text) as object);
    return Response.json({
      cursor: this.#waiting.at(-1)?.number ?? cursor,
      messages: batch,
      ...(this.#end ? { close: this.#end } : {}),
    });
  }

  #write(text: string): void {
    this.#stream?.enqueue(encoder.encode(text));
  }
}

/** A `fetch` that reaches `server` and nothing else. */
export function fakeFetch(server: FakeServer, connect: () => FakeConnection): typeof globalThis.fetch {
  const ends = new Map<FakeConnection, HttpEnd>();

  async function open(url: URL, token: string, signal: AbortSignal | null | undefined): Promise<[HttpEnd, Response | null]> {
    const end = new HttpEnd();
    const connection = connect();
    ends.set(connection, end);
    connection.connecting(end, url.href, token ? [`bearer.${token}`] : []);
    await Promise.resolve();
    signal?.addEventListener("abort", () => connection.left(1006));
    const refused = end.ended;
    if (refused?.code === 1006) throw new TypeError("network error");
    return [end, refused && refusal(refused.code, refused.reason)];
  }

  return async (input, init = {}) => {
    await Promise.resolve();
    const url = new URL(input instanceof Request ? input.url : input);
    const { signal, method = "GET" } = init;
    const asked = `${method} ${url.pathname.slice(url.pathname.indexOf("/v1/"))}`;
    const way = asked === "GET /v1/stream" ? server.allowsStreams : asked !== "GET /v1/poll" || server.allowsPolls;
    if (!server.isUp || !way) throw new TypeError("network error");
    const token = new Headers(init.headers).get("Authorization")?.slice("Bearer ".length) ?? "";
    const id = url.searchParams.get("connectionId");
    const found = [...ends].find(([, end]) => end.id === id);
    if (asked === "GET /v1/stream") {
      const [end, refused] = await open(url, token, signal);
      return refused ?? end.stream();
    }
    if (asked === "GET /v1/poll" && id === null) {
      const [end, refused] = await open(url, token, null);
      return refused ?? end.poll(0, signal);
    }
    if (!found) return refusal(1006, "no such connection");
    const [connection, end] = found;
    connection.proved = Math.max(connection.proved, Number(url.searchParams.get("received") ?? url.searchParams.get("cursor")));
    if (asked === "GET /v1/poll") return end.poll(Number(url.searchParams.get("cursor")), signal);
    if (asked === "POST /v1/messages") {
      for (const line of String(init.body).split("\n")) if (line) connection.received(line);
    } else {
      connection.left(1000);
      ends.delete(connection);
    }
    return new Response(null, { status: 204 });
  };
}

function refusal(closeCode: number, message: string): Response {
  return Response.json({ code: "refused", message, closeCode }, { status: closeCode === 1006 ? 410 : 403 });
}
