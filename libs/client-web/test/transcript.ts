/** Replays one conformance transcript (libs/client/conformance/README.md) against a real local server. */

import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { isDeepStrictEqual } from "node:util";
import { WebSocket, WebSocketServer } from "ws";
import { TapewireError, WebSocketClient, memoryKey } from "../src/index.ts";
import { pollTransport } from "../src/fallback/poll.ts";
import { streamTransport } from "../src/fallback/stream.ts";
import type { KeyValueStore, TransportName, WebSocketConstructor } from "../src/index.ts";
import { HttpPeer, webSocketPeer } from "./peers.ts";
import type { Peer, PeerEvents } from "./peers.ts";

type Json = Record<string, unknown>;
type Outcome = "return" | "raise" | "hold";

export interface Transcript {
  readonly about: string;
  readonly client: {
    readonly token?: string[];
    readonly clientId?: string;
    readonly inbox?: "own";
    readonly channels?: string[];
    readonly remembered?: string[];
    readonly autoAck?: boolean;
    readonly maxAttempts?: number;
    readonly heartbeatGraceMs?: number;
    readonly backoffMs?: [number, number];
    readonly stableMs?: number;
    readonly handlers?: Record<string, Outcome[]>;
  };
  readonly steps: Json[];
}

/** A connection that the client asks for, and that the transcript has not judged yet. */
interface Handshake {
  readonly request: IncomingMessage;
  /** The token, as the transport carries it. */
  readonly token: string;
  accept(events: PeerEvents): Promise<Peer>;
  refuse(status: number): void;
}

const WAIT_MS = 5000;
const TRANSPORTS = { sse: streamTransport, "long-poll": pollTransport };
const WELCOME = {
  type: "welcome",
  connectionId: "c-1",
  userId: "alice",
  heartbeatInterval: 30,
  serverTime: "2026-01-05T14:30:00Z",
  tokenExpiresIn: 540,
  channels: ["user:alice"],
  recovered: { critical: 0, recent: 0, gap: false },
  limits: { messagesPerSecond: 20, channels: 256, messageBytes: 65536 },
};

export class Replay {
  readonly #transcript: Transcript;
  readonly #http: Server = createServer();
  readonly #wss = new WebSocketServer({ noServer: true, handleProtocols: () => "tapewire.v1" });
  readonly #handshakes: Handshake[] = [];
  readonly #frames: Json[] = [];
  readonly #acked: string[] = [];
  readonly #calls: Json[] = [];
  readonly #held = new Map<string, () => void>();
  readonly #results = new Map<string, Promise<unknown>>();
  readonly #variables = new Map<string, unknown>();
  readonly #over: TransportName;
  #peer: Peer | null = null;
  #closedWith: number | null = null;
  #client!: WebSocketClient;

  constructor(transcript: Transcript, over: TransportName = "websocket") {
    this.#transcript = transcript;
    this.#over = over;
  }

  async run(): Promise<void> {
    this.#http.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    this.#http.on("request", (request, response) => void this.#request(request, response));
    await new Promise<void>((resolve) => this.#http.listen(0, "127.0.0.1", resolve));
    this.#client = this.#makeClient();
    this.#client.connect().catch(() => {});
    try {
      for (const [index, step] of this.#transcript.steps.entries()) {
        try {
          await this.#step(step);
        } catch (error) {
          throw new Error(`step ${index + 1} ${JSON.stringify(step).slice(0, 200)}: ${(error as Error).message}`);
        }
      }
      if (this.#frames.length > 0) throw new Error(`unexpected frames: ${JSON.stringify(this.#frames)}`);
    } finally {
      this.#client.disconnect();
      this.#peer?.drop();
      this.#http.closeAllConnections();
      this.#http.close();
    }
  }

  #makeClient(): WebSocketClient {
    const { client } = this.#transcript;
    const tokens = [...(client.token ?? ["t-1"])];
    const kept = new Map<string, string>();
    if (client.remembered) kept.set(memoryKey(null, client.clientId ?? null), JSON.stringify(client.remembered));
    const storage: KeyValueStore = {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, value),
      removeItem: (key) => void kept.delete(key),
    };
    const [firstMs, maxMs] = client.backoffMs ?? [1, 50];
    const outcomes = new Map(Object.entries(client.handlers ?? {}).map(([id, list]) => [id, [...list]]));
    const sdk = new WebSocketClient({
      url: `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}/ws`,
      getToken: () => (tokens.length > 1 ? tokens.shift()! : tokens[0]!),
      clientId: client.clientId ?? null,
      storage,
      backoff: { firstMs, maxMs },
      ...(this.#over === "websocket"
        ? { WebSocket: WebSocket as unknown as WebSocketConstructor }
        : { transport: TRANSPORTS[this.#over](fetch) }),
      onError: () => {},
      channels: client.channels ?? [],
      ...(client.inbox ? { inbox: client.inbox } : {}),
      ...pick(client, ["autoAck", "maxAttempts", "heartbeatGraceMs", "stableMs"]),
    });
    sdk.onMessage("*", (message) => {
      const id = "id" in message ? String(message.id) : "";
      this.#calls.push({ on: "message", type: message.type, ...(id ? { id } : {}) });
      const outcome = outcomes.get(id)?.shift() ?? "return";
      if (outcome === "raise") throw new Error(`the handler of ${id} raises`);
      if (outcome === "hold") return new Promise<void>((resolve) => this.#held.set(id, resolve));
      return undefined;
    });
    sdk.onGap(() => this.#calls.push({ on: "gap" }));
    sdk.onUnknown((message) => this.#calls.push({ on: "unknown", type: message.type }));
    return sdk;
  }

  async #step(step: Json): Promise<void> {
    if ("accept" in step) return this.#accept(step.accept as Json);
    if ("refuse" in step) {
      (await this.#nextHandshake(WAIT_MS)).refuse(step.refuse as number);
    } else if ("welcome" in step) {
      this.#peer!.send(JSON.stringify({ ...WELCOME, ...(step.welcome as Json) }));
    } else if ("send" in step) {
      this.#peer!.send(typeof step.send === "string" ? step.send : JSON.stringify(this.#filled(step.send)));
    } else if ("expect" in step) {
      await this.#expect(step.expect as Json);
    } else if ("calls" in step) {
      await this.#expectCalls(step.calls as Json[]);
    } else if ("quiet" in step) {
      await this.#quiet(step.quiet as number);
    } else if ("release" in step) {
      this.#held.get(step.release as string)!();
    } else if ("close" in step) {
      this.#peer!.close(step.close as number);
    } else if ("drop" in step) {
      this.#peer!.drop();
    } else if ("closed" in step) {
      await until(() => this.#closedWith !== null, "the client to close");
      if (step.closed !== true && this.#closedWith !== step.closed) throw new Error(`closed with ${this.#closedWith}`);
    } else if ("state" in step) {
      const state = step.state === "closed" ? "idle" : step.state; // `idle` again, here
      await until(() => this.#client.info.state === state, () => `state is ${this.#client.info.state}`);
    } else if ("do" in step) {
      this.#do(step.do as Json, step.as as string | undefined);
    } else if ("result" in step) {
      await this.#result(step);
    } else {
      throw new Error("no such step");
    }
  }

  async #nextHandshake(withinMs: number) {
    await until(() => this.#handshakes.length > 0, "a connection", withinMs);
    return this.#handshakes.shift()!;
  }

  async #accept(accept: Json): Promise<void> {
    const since = Date.now();
    const handshake = await this.#nextHandshake((accept.withinMs as number) ?? WAIT_MS);
    if (Date.now() - since < ((accept.notBeforeMs as number) ?? 0)) throw new Error("too early");
    const query = Object.fromEntries(new URL(handshake.request.url!, "http://x").searchParams);
    if (!isDeepStrictEqual(query, accept.query ?? {})) throw new Error(`query is ${JSON.stringify(query)}`);
    if (accept.token !== undefined && handshake.token !== accept.token) throw new Error(`token is ${handshake.token}`);
    this.#closedWith = null;
    const peer: Peer = await handshake.accept({
      text: (text) => {
        const frame = JSON.parse(text) as Json;
        if (frame.type === "ack") this.#acked.push(...(frame.ids as string[]));
        else if (frame.type !== "heartbeat") this.#frames.push(frame);
      },
      closed: (code) => {
        if (this.#peer === peer) this.#closedWith = code;
      },
    });
    this.#peer = peer;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const offered = (request.headers["sec-websocket-protocol"] ?? "").split(/, */);
    this.#handshakes.push({
      request,
      token: offered.find((protocol) => protocol.startsWith("bearer."))?.slice("bearer.".length) ?? "",
      accept: (events) =>
        new Promise((resolve) =>
          this.#wss.handleUpgrade(request, socket, head, (accepted) => resolve(webSocketPeer(accepted, events))),
        ),
      refuse: (status) => void socket.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\n\r\n`),
    });
  }

  async #request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { searchParams } = new URL(request.url!, "http://x");
    if (!searchParams.has("connectionId")) {
      this.#handshakes.push({
        request,
        token: (request.headers.authorization ?? "").replace("Bearer ", ""),
        accept: (events) => Promise.resolve(new HttpPeer(request, response, events)),
        refuse: (status) => void response.writeHead(status).end(),
      });
      return;
    }
    const peer = this.#peer;
    if (!(peer instanceof HttpPeer) || peer.isDropped) {
      response.writeHead(410).end();
    } else if (request.method === "GET") {
      peer.poll(response, Number(searchParams.get("cursor")));
    } else {
      if (request.method === "POST") await peer.post(request);
      else peer.leave();
      response.writeHead(204).end();
    }
  }

  async #expect(expected: Json): Promise<void> {
    if (expected.type === "ack") {
      const ids = expected.ids as string[];
      await until(() => this.#acked.length >= ids.length, () => `acked so far: ${this.#acked.join()}`);
      const acked = this.#acked.splice(0);
      if (!isDeepStrictEqual(acked, ids)) throw new Error(`acked ${acked.join()}`);
      return;
    }
    await until(() => this.#frames.length > 0, "a frame");
    const frame = this.#frames.shift()!;
    for (const [field, value] of Object.entries(expected)) {
      const actual = frame[field];
      if (typeof value === "string" && value.startsWith("$") && !this.#variables.has(value)) {
        if (actual === undefined) throw new Error(`no ${field} in ${JSON.stringify(frame)}`);
        this.#variables.set(value, actual);
      } else {
        const sorted = (list: unknown) => (field === "channels" ? [...(list as string[])].sort() : list);
        if (!isDeepStrictEqual(sorted(actual), sorted(this.#filled(value)))) {
          throw new Error(`got ${JSON.stringify(frame)}`);
        }
      }
    }
  }

  async #expectCalls(expected: Json[]): Promise<void> {
    await until(() => this.#calls.length >= expected.length, () => `calls so far: ${JSON.stringify(this.#calls)}`);
    const calls = this.#calls.splice(0);
    const same = calls.length === expected.length && expected.every((call, index) => covers(calls[index]!, call));
    if (!same) throw new Error(`calls were ${JSON.stringify(calls)}`);
  }

  async #quiet(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    const noise = [...this.#frames, ...this.#acked, ...this.#calls, ...this.#handshakes.map(() => "connection")];
    if (noise.length > 0) throw new Error(`heard ${JSON.stringify(noise)}`);
  }

  #do(call: Json, name: string | undefined): void {
    const [[method, argument]] = Object.entries(call) as [[string, unknown]];
    const calls: Record<string, () => unknown> = {
      subscribe: () => this.#client.subscribe(...(argument as string[])),
      unsubscribe: () => this.#client.unsubscribe(...(argument as string[])),
      ack: () => this.#client.ack(...(argument as string[])),
      emergencyStop: () => this.#client.emergencyStop(argument as { sessionId: string }),
      reconnect: () => this.#client.reconnect(),
      disconnect: () => this.#client.disconnect(),
    };
    const result = Promise.resolve(calls[method]!());
    result.catch(() => {});
    if (name) this.#results.set(name, result);
  }

  async #result(step: Json): Promise<void> {
    const result = this.#results.get(step.result as string)!;
    if ("ok" in step) {
      const reply = (await result) as Json;
      if (!covers(reply, step.ok as Json)) throw new Error(`result is ${JSON.stringify(reply)}`);
      return;
    }
    const error = await result.then(
      () => null,
      (reason: unknown) => reason,
    );
    if (!(error instanceof TapewireError)) throw new Error(`ended with ${String(error)}`);
    if (step.error !== "any" && error.code !== step.error) throw new Error(`failed with ${error.code}`);
  }

  #filled(value: unknown): unknown {
    if (typeof value === "string" && value.startsWith("$")) return this.#variables.get(value);
    if (Array.isArray(value)) return value.map((item) => this.#filled(item));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.#filled(item)]));
  }
}

function covers(actual: Json, expected: Json): boolean {
  return Object.entries(expected).every(([field, value]) => isDeepStrictEqual(actual[field], value));
}

function pick<T extends object, K extends keyof T>(value: T, keys: K[]): Pick<T, K> {
  return Object.fromEntries(keys.filter((key) => value[key] !== undefined).map((key) => [key, value[key]])) as Pick<T, K>;
}

async function until(condition: () => boolean, what: string | (() => string), withinMs = WAIT_MS): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${typeof what === "string" ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
