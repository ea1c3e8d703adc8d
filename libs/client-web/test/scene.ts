/** A client and a fake server with time in the test's hands. */

import { vi } from "vitest";
import { WebSocketClient } from "../src/index.ts";
import type { ClientOptions, KeyValueStore, Platform, WakeSignal } from "../src/index.ts";
import { FakeServer } from "../src/testing/index.ts";
import type { FakeServerOptions } from "../src/testing/index.ts";

export { alert, quote, trade } from "./events.ts";

export class Scene {
  readonly server: FakeServer;
  readonly client: WebSocketClient;
  readonly errors: unknown[] = [];
  isOnline = true;
  #signal: (signal: WakeSignal) => void = () => {};

  constructor(options: Partial<ClientOptions> = {}, server: FakeServer | FakeServerOptions = {}) {
    this.server = server instanceof FakeServer ? server : new FakeServer(server);
    const platform: Partial<Platform> = {
      random: () => 0.5,
      storage: null,
      tabStorage: null,
      locks: null,
      isOnline: () => this.isOnline,
      onSignal: (callback) => {
        this.#signal = callback;
        return () => {};
      },
      ...options.platform,
    };
    this.client = new WebSocketClient({
      url: "ws://edge/ws",
      getToken: () => "t-1",
      WebSocket: this.server.WebSocket,
      onError: (error) => this.errors.push(error),
      ...options,
      platform,
    });
  }

  signal(signal: WakeSignal): void {
    this.#signal(signal);
  }

  async connected(): Promise<this> {
    await this.client.connect();
    await settle();
    return this;
  }
}

/** Lets everything happen that is due now. */
export async function settle(): Promise<void> {
  await pass(0);
}

/** Lets time go by. */
export async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

export function memoryStore(kept = new Map<string, string>()): KeyValueStore {
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  };
}

/** Web Locks for as many tabs as hold it. */
export function fakeLocks(): Pick<LockManager, "request"> {
  const held = new Set<string>();
  return {
    request: (async (name: string, _options: LockOptions, callback: LockGrantedCallback<unknown>) => {
      if (held.has(name)) return callback(null);
      held.add(name);
      await callback({ name, mode: "exclusive" });
      held.delete(name);
    }) as LockManager["request"],
  };
}
