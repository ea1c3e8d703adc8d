/** The client: subscriptions, handlers and acks over one connection that comes back. */

import { Acks } from "./acks.ts";
import { Channels } from "./channels.ts";
import type { ChannelReply } from "./channels.ts";
import { Connection } from "./connection.ts";
import type { Accepted, ClientFrame, Welcome } from "./contracts.gen.ts";
import { NotConnected } from "./errors.ts";
import type { Handler, HandlerFor, HandlerOptions } from "./handlers.ts";
import { Identity } from "./identity.ts";
import { Intake } from "./intake.ts";
import { withFallbacks } from "./ladder.ts";
import type { MessageType, UnknownMessage } from "./messages.ts";
import type { ClientOptions, SendOptions, StopRequest } from "./options.ts";
import { Outbound } from "./outbound.ts";
import { browserPlatform } from "./platform.ts";
import type { Platform } from "./platform.ts";
import type { ConnectionInfo } from "./state.ts";
import { Timers } from "./timers.ts";
import type { OpenTransport } from "./transport.ts";
import { webSocketTransport } from "./websocket.ts";

const TTL_MS = 30_000; // a message that waited longer is about a world that has moved on
const SAVE_MS = 1000;

export class WebSocketClient {
  readonly #platform: Platform;
  readonly #identity: Identity;
  readonly #connection: Connection;
  readonly #intake: Intake;
  readonly #acks: Acks;
  readonly #channels: Channels;
  readonly #outbound = new Outbound();
  readonly #timers = new Timers<"save">();
  readonly #gapListeners = new Set<(welcome: Welcome) => void>();

  constructor(options: ClientOptions) {
    const platform = { ...browserPlatform(), ...options.platform };
    this.#platform = options.storage === undefined ? platform : { ...platform, storage: options.storage };
    this.#identity = new Identity(this.#platform, options.clientId);
    this.#acks = new Acks((ids) => {
      this.#identity.memory.flush(); // remembered before acked: a crash in between repeats the ack, not the handler
      this.#connection.send({ type: "ack", ids });
    });
    this.#intake = new Intake({
      autoAck: options.autoAck ?? true,
      memory: () => this.#identity.memory,
      ack: (id) => this.#acks.add(id),
      onError: options.onError ?? report,
    });
    const transport = options.transport ?? transports(options);
    this.#connection = new Connection(options, this.#platform, this.#identity, transport, {
      welcomed: (welcome) => this.#welcomed(welcome),
      message: (message) => this.#receive(message),
      lost: () => this.#channels.lost(),
    });
    this.#channels = new Channels(
      {
        connected: () => this.#connection.isOpen,
        subscribe: (channels) => this.#connection.request((id) => ({ type: "subscribe", id, channels })),
        unsubscribe: (channels) => this.#connection.request((id) => ({ type: "unsubscribe", id, channels })),
      },
      options.channels,
    );
  }

  /** The connection as it stands; the same object until something changes. */
  get info(): ConnectionInfo {
    return this.#connection.info;
  }

  /** Calls back after each change of `info`, until the returned function is called. */
  onStateChange(listener: () => void): () => void {
    return this.#connection.onChange(listener);
  }

  /** Connects, and stays connected until `disconnect()`. Resolves when welcomed; rejects when refused. */
  connect(): Promise<void> {
    return this.#connection.connect();
  }

  /** Ends the connection for good; messages and requests that wait are given up. */
  disconnect(): void {
    this.#acks.flush();
    this.#connection.disconnect();
    this.#channels.cancel();
    this.#outbound.clear();
    this.#identity.release();
  }

  /** Tries at once, on a new connection. */
  reconnect(): Promise<void> {
    return this.#connection.reconnect();
  }

  /** Takes messages of a type, or of all (`"*"`), until the returned function is called. */
  onMessage<T extends MessageType | "*">(type: T, handler: HandlerFor<T>, options?: HandlerOptions): () => void {
    return this.#intake.on(type, handler as Handler<never>, options);
  }

  offMessage<T extends MessageType | "*">(type: T, handler: HandlerFor<T>): void {
    this.#intake.handlers.remove(type, handler as Handler<never>);
  }

  /** Takes messages of types that this version does not know (they reach `"*"` handlers, too). */
  onUnknown(handler: Handler<UnknownMessage>): () => void {
    return this.#intake.handlers.addUnknown(handler);
  }

  /** Calls back when the server says that recent events are missing for good: load a fresh snapshot. */
  onGap(listener: (welcome: Welcome) => void): () => void {
    this.#gapListeners.add(listener);
    return () => this.#gapListeners.delete(listener);
  }

  /** Subscribes, also on every later connection. Resolves with the server's word on each channel. */
  subscribe(...channels: string[]): Promise<ChannelReply> {
    return this.#channels.subscribe(channels);
  }

  unsubscribe(...channels: string[]): Promise<{ channels: string[] }> {
    return this.#channels.unsubscribe(channels);
  }

  /** Subscribes as long as somebody holds a lease: until the last release, and 2 s longer. */
  lease(...channels: string[]): () => void {
    return this.#channels.lease(channels);
  }

  /**
   * Calls back with channels whose events come from now on, on each connection anew: what is asked for after that
   * and what comes then leave no hole between them.
   */
  onSubscribed(listener: (channels: readonly string[]) => void): () => void {
    return this.#channels.onSubscribed(listener);
  }

  /** Acknowledges messages whose ack was left to the application; without a connection, when they come again. */
  ack(...ids: string[]): void {
    for (const id of ids) this.#intake.acknowledge(id);
  }

  /** Orders a session to stop. Resolves once the broker confirmed it; rejects with a `TapewireError`. */
  emergencyStop(stop: StopRequest): Promise<Accepted> {
    if (!this.#connection.isOpen) return Promise.reject(new NotConnected());
    const idempotencyKey = stop.idempotencyKey ?? this.#platform.newId();
    return this.#connection.request((id) => ({
      type: "command",
      id,
      command: "emergency_stop",
      ...stop,
      idempotencyKey,
    }));
  }

  /** Sends a message of the protocol as it is. False: neither sent nor kept. */
  sendMessage(message: ClientFrame, options: SendOptions = {}): boolean {
    const { queue = message.type !== "command", ttlMs = TTL_MS } = options;
    if (this.#connection.isOpen && this.#connection.send(message)) return true;
    const now = this.#platform.now();
    return queue && this.#outbound.push(JSON.stringify(message), now + ttlMs, now);
  }

  /** What happened lately, for a bug report; without tokens. */
  inspect() {
    const { recorder, requests } = this.#connection;
    return {
      info: this.info,
      frames: recorder.frames(),
      transitions: recorder.transitions(),
      channels: this.#channels.wanted(),
      pendingRequests: requests.size,
      queuedOutbound: this.#outbound.size,
      waitingForHandlers: this.#intake.waiting,
    };
  }

  #welcomed(welcome: Welcome): void {
    this.#identity.memory.open();
    if (welcome.recovered?.gap) for (const listener of [...this.#gapListeners]) listener(welcome);
    this.#channels.opened(welcome.channels ?? []);
    this.#outbound.drain(this.#platform.now(), (text) => this.#connection.sendText(text));
  }

  #receive(message: { type: string }): void {
    if (message.type === "acked" && "ids" in message && Array.isArray(message.ids)) {
      for (const id of message.ids) this.#intake.settle(String(id));
    }
    this.#intake.accept(message);
    // What was handled is written within a second; before an ack, at once.
    if (!this.#timers.has("save")) this.#timers.set("save", SAVE_MS, () => this.#identity.memory.flush());
  }
}

function transports({ WebSocket, fetch, fallback }: ClientOptions): OpenTransport {
  const webSocket = webSocketTransport(WebSocket);
  // Who brings a WebSocket of their own brings a fetch of their own, too, or means just that.
  const fetching = fetch ?? (WebSocket ? undefined : globalThis.fetch);
  return fallback === false || !fetching ? webSocket : withFallbacks(webSocket, fetching, WebSocket, fallback);
}

function report(error: unknown): void {
  if (typeof reportError === "function") reportError(error);
  else console.error(error);
}
