/** Whether the other side is still there: heartbeats, silence, round trips. */

import { Timers } from "./timers.ts";

export interface LivenessPorts {
  now(): number;
  /** Sends a heartbeat; the server answers with one. */
  beat(): void;
  stale(isStale: boolean): void;
  latency(ms: number): void;
  silent(): void;
  /** Whether the browser says that there is no network, whatever still comes. */
  isCut(): boolean;
}

const FIRST_BEAT_MS = 1000; // the round trip is measured when the rush of the first messages is over
const PROBE_MS = 5000; // a server that is there answers a heartbeat in far less

export class Liveness {
  readonly #ports: LivenessPorts;
  readonly #graceMs: number;
  readonly #timers = new Timers<"watch" | "beat" | "probe">();
  #intervalMs = 30_000;
  #heardAt = 0;
  #frames = 0;
  #pingAt: number | null = null;

  constructor(graceMs: number, ports: LivenessPorts) {
    this.#graceMs = graceMs;
    this.#ports = ports;
  }

  start(intervalMs: number): void {
    this.#intervalMs = intervalMs;
    this.#heardAt = this.#ports.now();
    this.watch();
    this.#timers.set("beat", Math.min(FIRST_BEAT_MS, intervalMs), () => this.#beat());
  }

  stop(): void {
    this.#timers.clearAll();
    this.#pingAt = null;
  }

  /** Any frame counts. */
  heard(now: number): void {
    this.#heardAt = now;
    this.#frames += 1;
  }

  heartbeat(now: number): void {
    if (this.#pingAt !== null) this.#ports.latency(now - this.#pingAt);
    this.#pingAt = null;
  }

  /** Looks at the silence so far: stale after half the grace, over after all of it. */
  watch(): void {
    const silentMs = this.#ports.now() - this.#heardAt;
    const staleIn = this.#intervalMs + this.#graceMs / 2 - silentMs;
    const overIn = this.#intervalMs + this.#graceMs - silentMs;
    if (overIn <= 0) return this.#ports.silent();
    this.#ports.stale(staleIn <= 0);
    this.#timers.set("watch", staleIn > 0 ? staleIn : overIn, () => this.watch());
  }

  /**
   * Asks for a sign of life now: after sleep, or when the network is said to have changed. And again
   * while it is said to be away, for what came first may have been on its way when it went.
   */
  probe(): void {
    const before = this.#frames;
    this.#beat();
    this.#timers.set("probe", PROBE_MS, () => {
      if (this.#frames === before) this.#ports.silent();
      else if (this.#ports.isCut()) this.probe();
    });
  }

  #beat(): void {
    this.#timers.set("beat", this.#intervalMs, () => this.#beat());
    this.#pingAt = this.#ports.now();
    this.#ports.beat();
  }
}
