/** The client's half of a connection over HTTP: whose it is, what is posted, how it ends. */

import type { TransportEvents, TransportRequest } from "../transport.ts";

const LINES = 20; // in one post: what the server allows in a second
const TRIES = 3;
const AGAIN_MS = 500;
const PROVE_MS = 100; // joined with what is posted anyway

export class Line {
  readonly #fetch: typeof globalThis.fetch;
  readonly #url: string;
  readonly #events: TransportEvents;
  readonly #abort = new AbortController();
  #token: string;
  #connectionId: string | null = null;
  #queue: string[] = [];
  #busy = false;
  #owesProof = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The number of the newest message received. */
  received = 0;
  ended = false;

  constructor(fetch: typeof globalThis.fetch, { url, token }: TransportRequest, events: TransportEvents) {
    this.#fetch = fetch;
    this.#url = url.replace(/^ws/, "http");
    this.#token = token;
    this.#events = events;
  }

  get query(): Record<string, string> {
    return this.#connectionId === null ? {} : { connectionId: this.#connectionId };
  }

  /** Asks the edge; rejects when there is no answer. */
  request(path: string, query: Readonly<Record<string, string>>, init: RequestInit = {}): Promise<Response> {
    const url = new URL(`v1/${path}?${String(new URLSearchParams(query))}`, this.#url);
    const headers = { Authorization: `Bearer ${this.#token}` };
    return (0, this.#fetch)(url.href, { cache: "no-store", signal: this.#abort.signal, ...init, headers });
  }

  message(text: string): void {
    if (this.ended) return;
    this.#connectionId ??= (JSON.parse(text) as { connectionId?: string }).connectionId ?? null; // `welcome` is the first
    this.#events.message(text);
  }

  send(text: string): boolean {
    if (this.ended || this.#connectionId === null) return false;
    this.#queue.push(text);
    void this.#post();
    return true;
  }

  /** The server asks for proof of what it sent. */
  prove(): void {
    this.#owesProof = true;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#post();
    }, PROVE_MS);
  }

  /** The other side ended it, or the way there is lost. */
  lost(code: number, reason: string): void {
    if (this.ended) return;
    this.#end();
    this.#events.closed(code, reason);
  }

  /** The answer of a server that does not want this connection, or of somebody in between. */
  async refused(response: Response): Promise<void> {
    const told = (await response.json().catch(() => null)) as { closeCode?: unknown; message?: unknown } | null;
    const code = typeof told?.closeCode === "number" ? told.closeCode : 1006;
    this.lost(code, typeof told?.message === "string" ? told.message : `HTTP status ${response.status}`);
  }

  /** We end it, and say so: its place is free at once. */
  close(): void {
    if (this.ended) return;
    const { query } = this;
    if (query.connectionId) this.request("messages", query, { method: "DELETE", keepalive: true, signal: null }).catch(() => {});
    this.#end();
  }

  #end(): void {
    this.ended = true;
    clearTimeout(this.#timer);
    this.#abort.abort();
  }

  async #post(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    await Promise.resolve(); // what else this turn says
    while (!this.ended && (this.#queue.length > 0 || this.#owesProof)) {
      const lines = this.#queue.splice(0, LINES);
      this.#owesProof = false;
      await this.#deliver(lines);
    }
    this.#busy = false;
  }

  /** Posting twice does no harm: every message of a client may come twice. */
  async #deliver(lines: string[]): Promise<void> {
    const init = { method: "POST", body: lines.join("\n") };
    for (let tries = 1; !this.ended; tries += 1) {
      const query = { ...this.query, received: String(this.received) };
      const response = await this.request("messages", query, init).catch(() => null);
      if (response?.ok) return this.#renew(lines);
      if (response && response.status < 500) return this.refused(response);
      if (tries === TRIES) return this.lost(1006, "what was said did not arrive");
      await pause(AGAIN_MS);
    }
  }

  /** A token that the server was given is the token from now on. */
  #renew(lines: string[]): void {
    for (const line of lines) {
      if (!line.startsWith('{"type":"refresh"')) continue;
      this.#token = (JSON.parse(line) as { token: string }).token;
    }
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
