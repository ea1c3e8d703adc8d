/** What the algorithms decided lately, newest first: from history, and as it comes. */

import type { WebSocketClient } from "../../client.ts";
import type { AlgorithmDecision } from "../../contracts.gen.ts";
import { FrameBatch, Signal } from "./frames.ts";

const KEPT = 500; // some hours of a busy session; the rest is history, not a feed

/** Where older decisions are. */
export interface DecisionApi {
  /** The newest, newest first: of one session, or of all of a user's. */
  decisions(of: { readonly sessionId: string } | { readonly userId: string }): Promise<readonly AlgorithmDecision[]>;
}

export class DecisionStore {
  readonly #client: WebSocketClient;
  readonly #api: DecisionApi | null;
  #byId = new Map<string, AlgorithmDecision>();
  readonly #signal = new Signal();
  readonly #batch = new FrameBatch(() => this.#commit());
  /** Who needs which channel's history. */
  readonly #wanted = new Map<string, number>();
  #list: readonly AlgorithmDecision[] = [];
  #isAttached = false;

  constructor(client: WebSocketClient, api: DecisionApi | null = null) {
    this.#client = client;
    this.#api = api;
  }

  subscribe(channel: string | null, listener: () => void): () => void {
    this.#attach();
    const stop = this.#signal.subscribe(listener);
    if (channel === null) return stop;
    const release = this.#client.lease(channel);
    const holders = this.#wanted.get(channel) ?? 0;
    this.#wanted.set(channel, holders + 1);
    if (holders === 0 && this.#client.info.state === "connected") void this.#load(channel);
    return () => {
      const left = (this.#wanted.get(channel) ?? 1) - 1;
      if (left === 0) this.#wanted.delete(channel);
      else this.#wanted.set(channel, left);
      stop();
      release();
    };
  }

  list(): readonly AlgorithmDecision[] {
    return this.#list;
  }

  #attach(): void {
    if (this.#isAttached) return;
    this.#isAttached = true;
    this.#client.onMessage("algorithm_decision", (decision) => this.#take([decision]));
    // Not before: a decision between the answer and the subscription would be in neither.
    this.#client.onSubscribed((channels) => {
      for (const channel of channels) if (this.#wanted.has(channel)) void this.#load(channel); // also what was missed
    });
  }

  async #load(channel: string): Promise<void> {
    const name = channel.slice(channel.indexOf(":") + 1);
    try {
      const found = await this.#api?.decisions(channel.startsWith("session:") ? { sessionId: name } : { userId: name });
      if (found) this.#take(found.filter(({ id }) => !this.#byId.has(id)));
    } catch {
      // What comes over the socket is shown all the same; the next connection asks again.
    }
  }

  #take(decisions: readonly AlgorithmDecision[]): void {
    if (decisions.length === 0) return;
    for (const decision of decisions) this.#byId.set(decision.id, decision);
    this.#batch.schedule();
  }

  #commit(): void {
    // History brings old ones after new ones: by time, not by arrival.
    this.#list = [...this.#byId.values()]
      .sort((a, b) => Date.parse(b.timestamp) - Date.parse(a.timestamp) || b.id.localeCompare(a.id))
      .slice(0, KEPT);
    this.#byId = new Map(this.#list.map((decision) => [decision.id, decision]));
    this.#signal.notify();
  }
}
