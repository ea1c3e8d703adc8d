/** One connection that comes back: states, tokens, liveness, retries. What travels over it is the client's. */

import { BACKOFF, delayMs } from "./backoff.ts";
import type { Backoff } from "./backoff.ts";
import { CloseCode, closeReason, mayReconnect } from "./close.ts";
import type { Acked, ClientFrame, Refreshed, ServerFrame, Welcome } from "./contracts.gen.ts";
import { deferred } from "./deferred.ts";
import { edges } from "./edges.ts";
import { ConnectionLost, NotConnected } from "./errors.ts";
import type { Identity } from "./identity.ts";
import { Liveness } from "./liveness.ts";
import { isFrame, parseMessage } from "./messages.ts";
import type { ClientOptions } from "./options.ts";
import type { Platform, WakeSignal } from "./platform.ts";
import { Recorder } from "./recorder.ts";
import { Requests } from "./requests.ts";
import { INITIAL, next } from "./state.ts";
import type { ConnectionInfo, StateEvent } from "./state.ts";
import { Timers } from "./timers.ts";
import { TokenSource } from "./token.ts";
import type { TokenRequest } from "./token.ts";
import type { OpenTransport, Transport } from "./transport.ts";

const NORMAL = 1000;
const ABNORMAL = 1006;
const WELCOME_MS = 15_000; // the edge allows 10 s to authenticate; a slow handshake comes on top
const STABLE_MS = 5000;
const GRACE_MS = 10_000;
const REFRESH_LEAD_MS = 60_000; // a minute for a slow token endpoint, or a fifth of a short life
const REFRESH_AGAIN_MS = 5000;
const CHANGE_MS = 500;

export interface ConnectionPorts {
  /** The server knows us; requests may be made. */
  welcomed(welcome: Welcome): void;
  /** Something that is no frame of the protocol's own conversation. */
  message(message: { type: string }): void;
  lost(): void;
}

export class Connection {
  readonly recorder = new Recorder();
  readonly requests = new Requests();
  readonly #options: ClientOptions;
  readonly #urls: readonly string[];
  readonly #backoff: Backoff;
  readonly #platform: Platform;
  readonly #identity: Identity;
  readonly #openTransport: OpenTransport;
  readonly #ports: ConnectionPorts;
  readonly #tokens: TokenSource;
  readonly #timers = new Timers<"retry" | "welcome" | "refresh" | "stable" | "change">();
  readonly #liveness: Liveness;
  readonly #listeners = new Set<() => void>();
  #info: ConnectionInfo = INITIAL;
  #transport: Transport | null = null;
  /** Counts connections; what an earlier one still says is not heard. */
  #turn = 0;
  /** Tries since the last welcome. */
  #failures = 0;
  /** Counts failures and losses: whose turn it is among the URLs. */
  #losses = 0;
  #wasWelcomed = false;
  #drainWindowMs: number | null = null;
  #stopSignals: (() => void) | null = null;
  #ready = deferred();

  constructor(
    options: ClientOptions,
    platform: Platform,
    identity: Identity,
    openTransport: OpenTransport,
    ports: ConnectionPorts,
  ) {
    this.#options = options;
    this.#urls = edges(options.url, options.shuffle ?? true, platform.random);
    this.#backoff = { ...BACKOFF, ...options.backoff };
    this.#platform = platform;
    this.#identity = identity;
    this.#openTransport = openTransport;
    this.#ports = ports;
    this.#tokens = new TokenSource(options.getToken);
    this.#liveness = new Liveness(options.heartbeatGraceMs ?? GRACE_MS, {
      now: platform.now,
      beat: () => this.send({ type: "heartbeat" }),
      stale: (isStale) => this.#update({ isStale }),
      latency: (latencyMs) => this.#update({ latencyMs }),
      silent: () => this.#cut(CloseCode.NO_HEARTBEAT, closeReason(CloseCode.NO_HEARTBEAT)),
      isCut: () => !platform.isOnline(),
    });
  }

  get info(): ConnectionInfo {
    return this.#info;
  }

  get isOpen(): boolean {
    return this.#info.state === "connected";
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  connect(): Promise<void> {
    const { state } = this.#info;
    if (state === "idle" || state === "failed") {
      this.#failures = 0;
      this.#ready = deferred();
      this.#stopSignals ??= this.#platform.onSignal((signal) => this.#wake(signal));
      this.#move("connect", { attempt: 0, code: null, reason: null });
      void this.#open(this.#wasWelcomed ? "reconnect" : "connect");
    }
    return this.#ready.promise;
  }

  disconnect(): void {
    if (this.#info.state === "idle") return;
    this.#detach()?.close(NORMAL);
    this.#tokens.cancel();
    this.#stopSignals?.();
    this.#stopSignals = null;
    this.#ready.reject(new NotConnected("disconnected"));
    this.#move("disconnect", { code: null, reason: null, attempt: 0, nextRetryAt: null, latencyMs: null });
  }

  reconnect(): Promise<void> {
    const { state } = this.#info;
    if (state === "idle" || state === "failed") return this.connect();
    if (this.isOpen) this.#ready = deferred();
    this.#detach()?.close(NORMAL);
    this.#move(state === "connecting" ? "connect" : "loss", { attempt: 0, nextRetryAt: null });
    void this.#open("reconnect");
    return this.#ready.promise;
  }

  request<Reply>(make: (id: number) => ClientFrame): Promise<Reply> {
    return this.requests.start<Reply>((id) => this.send(make(id)));
  }

  send(frame: ClientFrame): boolean {
    return this.sendText(JSON.stringify(frame));
  }

  sendText(text: string): boolean {
    const sent = this.#transport?.send(text) ?? false;
    if (sent) this.recorder.frame(this.#platform.now(), "out", text);
    return sent;
  }

  async #open(reason: TokenRequest["reason"]): Promise<void> {
    const turn = ++this.#turn;
    const current = () => turn === this.#turn;
    try {
      const token = await this.#tokens.get(reason);
      if (!current()) return;
      await this.#identity.settle(token, current);
      if (!current()) return;
      this.#update({ clientId: this.#identity.clientId });
      this.#timers.set("welcome", WELCOME_MS, () => this.#cut(CloseCode.NO_HEARTBEAT, "no welcome in time"));
      const url = this.#urls[this.#losses % this.#urls.length]!;
      this.#transport = this.#openTransport(
        { url, query: this.#query(), token },
        {
          message: (text) => current() && this.#receive(text),
          better: () => current() && this.#change(),
          closed: (code, words) => current() && this.#lose(code, closeReason(code, words)),
        },
      );
    } catch (error) {
      if (!current()) return;
      const fatal = typeof error === "object" && error !== null && "retryable" in error && error.retryable === false;
      this.#lose(fatal ? null : ABNORMAL, error instanceof Error ? error.message : String(error));
    }
  }

  /** Changes to a better transport, once nobody waits for an answer. */
  #change(): void {
    if (this.requests.size > 0) this.#timers.set("change", CHANGE_MS, () => this.#change());
    else void this.reconnect();
  }

  #query(): Record<string, string> {
    const { clientId, memory } = this.#identity;
    return {
      ...(clientId === null ? {} : { clientId }),
      ...(this.#options.inbox ? { inbox: this.#options.inbox } : {}),
      ...(this.#wasWelcomed || memory.existed ? { resume: "true" } : {}),
    };
  }

  #receive(text: string): void {
    const now = this.#platform.now();
    this.#liveness.heard(now);
    this.recorder.frame(now, "in", text);
    const message = parseMessage(text);
    if (!message) return;
    if (isFrame(message)) return this.#frame(message, now);
    if (now - (this.#info.lastEventAt ?? 0) >= 1000) this.#update({ lastEventAt: now });
    this.#ports.message(message);
  }

  #frame(frame: Exclude<ServerFrame, Acked>, now: number): void {
    if (frame.type === "welcome") this.#welcome(frame);
    else if (frame.type === "heartbeat") this.#liveness.heartbeat(now);
    else if (frame.type === "draining") this.#drainWindowMs = frame.windowMs;
    else this.requests.settle(frame);
  }

  #welcome(welcome: Welcome): void {
    this.#timers.clear("welcome");
    this.#wasWelcomed = true;
    this.#failures = 0;
    this.#timers.set("stable", this.#options.stableMs ?? STABLE_MS, () => this.#update({ attempt: 0 }));
    if (welcome.tokenExpiresIn > 0) this.#refreshAfter(welcome.tokenExpiresIn * 1000);
    this.#move("welcome", {
      code: null,
      reason: null,
      nextRetryAt: null,
      transport: this.#transport?.name ?? null,
      userId: welcome.userId,
    });
    this.#liveness.start(welcome.heartbeatInterval * 1000);
    this.#ports.welcomed(welcome);
    this.#ready.resolve();
  }

  #refreshAfter(lifeMs: number): void {
    this.#timers.set("refresh", lifeMs - Math.min(REFRESH_LEAD_MS, lifeMs / 5), async () => {
      const turn = this.#turn;
      try {
        const token = await this.#tokens.get("refresh");
        if (turn !== this.#turn) return;
        const reply = await this.request<Refreshed>((id) => ({ type: "refresh", id, token }));
        if (turn === this.#turn) this.#refreshAfter(reply.tokenExpiresIn * 1000);
      } catch {
        // Tried again while the old token lives; after that the server closes with 4004.
        if (turn === this.#turn) this.#refreshAfter(REFRESH_AGAIN_MS);
      }
    });
  }

  #wake(signal: WakeSignal): void {
    if (signal === "hide") return this.#identity.memory.flush();
    if (this.isOpen) {
      this.#liveness.watch(); // slept through the deadline?
      if (this.isOpen) this.#liveness.probe();
    } else if (this.#info.nextRetryAt !== null) {
      if (signal === "offline") this.#move("cut");
      else this.#retry();
    }
  }

  /** Ends a connection that is of no use. */
  #cut(code: number, reason: string): void {
    this.#transport?.close(code);
    this.#lose(code, reason);
  }

  /** The connection is gone, or was never had. `code` null: no use in trying again. */
  #lose(code: number | null, reason: string): void {
    if (this.isOpen) this.#ready = deferred();
    else this.#failures += 1;
    this.#losses += 1;
    this.#detach();
    const lost = { code, reason, transport: null, latencyMs: null };
    if (code === null || !mayReconnect(code) || this.#failures >= (this.#options.maxAttempts ?? Infinity)) {
      this.#move("refusal", { ...lost, nextRetryAt: null });
      this.#ready.reject(new NotConnected(reason));
      return;
    }
    const { attempt } = this.#info;
    const random = this.#platform.random();
    const wait = this.#drainWindowMs === null ? delayMs(attempt, random, this.#backoff) : random * this.#drainWindowMs;
    this.#drainWindowMs = null;
    this.#timers.set("retry", wait, () => this.#retry());
    const nextRetryAt = this.#platform.now() + wait;
    this.#move(this.#lossEvent(), { ...lost, attempt: attempt + 1, nextRetryAt });
  }

  #retry(): void {
    this.#timers.clear("retry");
    this.#move(this.#lossEvent(), { nextRetryAt: null });
    const { code } = this.#info;
    const expired = code === CloseCode.TOKEN_EXPIRED || code === CloseCode.TOKEN_REVOKED;
    void this.#open(expired ? "expired" : this.#wasWelcomed ? "reconnect" : "connect");
  }

  #lossEvent(): StateEvent {
    return this.#platform.isOnline() ? "loss" : "cut";
  }

  /** Lets go of the transport and of everything that belongs to it. */
  #detach(): Transport | null {
    const transport = this.#transport;
    this.#turn += 1;
    this.#transport = null;
    this.#timers.clearAll();
    this.#liveness.stop();
    this.#identity.memory.flush();
    this.#ports.lost();
    this.requests.failAll(new ConnectionLost());
    return transport;
  }

  #move(event: StateEvent, change: Partial<ConnectionInfo> = {}): void {
    const from = this.#info.state;
    const state = next(from, event);
    if (from !== state) {
      this.recorder.transition({ at: this.#platform.now(), from, to: state, event, code: change.code ?? null });
    }
    this.#update({ ...change, state, isStale: state !== "connected" });
  }

  #update(change: Partial<ConnectionInfo>): void {
    const keys = Object.keys(change) as (keyof ConnectionInfo)[];
    if (keys.every((key) => this.#info[key] === change[key])) return;
    this.#info = Object.freeze({ ...this.#info, ...change });
    for (const listener of [...this.#listeners]) listener();
  }
}
