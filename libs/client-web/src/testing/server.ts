/** What the fake connections have in common: welcome, subscriptions, snapshots, an inbox until acked. */

import type { ClientFrame, Welcome } from "../contracts.gen.ts";
import type { WebSocketConstructor } from "../websocket.ts";
import { FakeConnection } from "./connection.ts";
import type { Handshake } from "./connection.ts";
import { fakeFetch } from "./http.ts";
import { FakeSocket } from "./socket.ts";
import type { ClientEnd, SocketPeer } from "./socket.ts";

export interface FakeServerOptions {
  readonly userId?: string;
  /** Fields of `welcome` in place of the usual ones. */
  readonly welcome?: Partial<Welcome>;
  /** A close code for a handshake that is refused; null lets it in. Everybody is let in when left out. */
  readonly judge?: (handshake: Handshake) => number | null;
  /** Messages that follow `subscribed` for a channel; `"snapshot": true` is added. */
  readonly snapshot?: (channel: string) => readonly object[];
  /** A code for a channel that is not given; null gives it. */
  readonly refuse?: (channel: string) => string | null;
  /** Answers requests with replies (default). False: your test does, with `connection.send`. */
  readonly answers?: boolean;
}

/**
 *     const server = new FakeServer();
 *     const client = new WebSocketClient({ url: "ws://fake/ws", getToken: () => "t", WebSocket: server.WebSocket });
 *     await client.connect();
 *     server.publish({ type: "risk_alert", id: "a-1", ack: true, … });
 *     server.unacked; // ["a-1"] until the client acks it, over as many connections as it takes
 */
export class FakeServer {
  /** Give this to `WebSocketClient` as its `WebSocket`. */
  readonly WebSocket: WebSocketConstructor;
  /** Give this to `WebSocketClient` as its `fetch`, for what stands in for a WebSocket. */
  readonly fetch: typeof globalThis.fetch;
  /** False: as behind a proxy that lets none through. */
  allowsWebSockets = true;
  allowsStreams = true;
  allowsPolls = true;
  /** Every connection there was, oldest first. */
  readonly connections: FakeConnection[] = [];
  /** False: handshakes fail, as when no server is there. */
  isUp = true;
  readonly #options: FakeServerOptions;
  readonly #inbox = new Map<string, object>();

  constructor(options: FakeServerOptions = {}) {
    this.#options = options;
    const connect = () => {
      const connection = new FakeConnection(this);
      this.connections.push(connection);
      return connection;
    };
    const socket = (url: string, protocols: string[]) =>
      this.allowsWebSockets
        ? new FakeSocket(connect(), url, protocols)
        : new FakeSocket(new BlockedPeer(), url, protocols);
    this.WebSocket = class {
      constructor(url: string, protocols: string[]) {
        return socket(url, protocols);
      }
    } as unknown as WebSocketConstructor;
    this.fetch = fakeFetch(this, connect);
  }

  /** The newest connection. */
  get connection(): FakeConnection {
    const newest = this.connections.at(-1);
    if (!newest) throw new Error("no client has connected");
    return newest;
  }

  /** Ids of the messages that wait for an ack, in order. */
  get unacked(): string[] {
    return [...this.#inbox.keys()];
  }

  /** Sends a message to all; with `channel`, to those that subscribed. `"ack": true` keeps it until acked. */
  publish(message: object, channel?: string): void {
    if ("ack" in message && message.ack === true && "id" in message) this.#inbox.set(String(message.id), message);
    for (const connection of this.connections) {
      if (channel === undefined || connection.channels.has(channel)) connection.send(message);
    }
  }

  /** Takes the server down: connections break, new ones fail. */
  stop(): void {
    this.isUp = false;
    for (const connection of this.connections) if (connection.isOpen) connection.drop();
  }

  start(): void {
    this.isUp = true;
  }

  /** Another device of the user acknowledged these. */
  ackElsewhere(...ids: string[]): void {
    for (const id of ids) this.#inbox.delete(id);
    this.publish({ type: "acked", ids });
  }

  judge(handshake: Handshake): number | null {
    return this.isUp ? (this.#options.judge?.(handshake) ?? null) : 1006;
  }

  entered(connection: FakeConnection): void {
    const { userId = "alice", welcome } = this.#options;
    const { clientId } = connection.handshake.query;
    connection.send({
      type: "welcome",
      connectionId: `c-${this.connections.indexOf(connection) + 1}`,
      userId,
      ...(clientId ? { clientId } : {}),
      heartbeatInterval: 30,
      serverTime: new Date().toISOString(),
      tokenExpiresIn: 540,
      channels: [`user:${userId}`],
      recovered: { critical: this.#inbox.size, recent: 0, gap: false },
      limits: { messagesPerSecond: 20, channels: 256, messageBytes: 65_536 },
      ...welcome,
    });
    for (const message of this.#inbox.values()) connection.send(message);
  }

  answer(connection: FakeConnection, frame: ClientFrame): void {
    if (frame.type === "ack") {
      for (const id of frame.ids ?? []) this.#inbox.delete(id);
    } else if (frame.type === "heartbeat") {
      connection.send({ type: "heartbeat" });
    } else if (this.#options.answers ?? true) {
      this.#reply(connection, frame);
    }
  }

  #reply(connection: FakeConnection, frame: ClientFrame): void {
    switch (frame.type) {
      case "subscribe": {
        const codes = frame.channels.map((channel) => this.#options.refuse?.(channel) ?? null);
        const channels = frame.channels.filter((_, index) => codes[index] === null);
        const rejected = frame.channels.flatMap((channel, index) => {
          const code = codes[index];
          return code ? [{ channel, code }] : [];
        });
        for (const channel of channels) connection.channels.add(channel);
        connection.send({ type: "subscribed", id: frame.id, channels, rejected });
        for (const channel of channels) {
          for (const message of this.#options.snapshot?.(channel) ?? []) connection.send({ ...message, snapshot: true });
        }
        return;
      }
      case "unsubscribe":
        for (const channel of frame.channels) connection.channels.delete(channel);
        return connection.send({ type: "unsubscribed", id: frame.id, channels: frame.channels });
      case "refresh":
        return connection.send({ type: "refreshed", id: frame.id, tokenExpiresIn: 540 });
      case "command":
        return connection.send({ type: "accepted", id: frame.id, idempotencyKey: frame.idempotencyKey });
    }
  }
}

/** A proxy that knows no WebSockets. */
class BlockedPeer implements SocketPeer {
  connecting(socket: ClientEnd): void {
    socket.closed(1006, "");
  }
  received(): void {}
  left(): void {}
}
