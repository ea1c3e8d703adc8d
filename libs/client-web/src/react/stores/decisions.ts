/** What the algorithms decided lately, newest first. */

import type { WebSocketClient } from "../../client.ts";
import type { AlgorithmDecision } from "../../contracts.gen.ts";
import { FrameBatch, Signal } from "./frames.ts";

const KEPT = 500; // some hours of a busy session; the rest is history, not a feed

export class DecisionStore {
  readonly #client: WebSocketClient;
  #byId = new Map<string, AlgorithmDecision>();
  readonly #signal = new Signal();
  readonly #batch = new FrameBatch(() => this.#commit());
  #list: readonly AlgorithmDecision[] = [];
  #isAttached = false;

  constructor(client: WebSocketClient) {
    this.#client = client;
  }

  subscribe(channel: string | null, listener: () => void): () => void {
    if (!this.#isAttached) {
      this.#isAttached = true;
      this.#client.onMessage("algorithm_decision", (decision) => {
        this.#byId.set(decision.id, decision);
        this.#batch.schedule();
      });
    }
    const release = channel === null ? () => {} : this.#client.lease(channel);
    const stop = this.#signal.subscribe(listener);
    return () => {
      stop();
      release();
    };
  }

  list(): readonly AlgorithmDecision[] {
    return this.#list;
  }

  #commit(): void {
    // Snapshots bring old ones after new ones: by time, not by arrival.
    this.#list = [...this.#byId.values()]
      .sort((a, b) => Date.parse(b.timestamp) - Date.parse(a.timestamp) || b.id.localeCompare(a.id))
      .slice(0, KEPT);
    this.#byId = new Map(this.#list.map((decision) => [decision.id, decision]));
    this.#signal.notify();
  }
}
