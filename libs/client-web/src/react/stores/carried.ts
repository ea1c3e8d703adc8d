/** A state that the desk tells when asked, and that messages carry on: what account and history share. */

import type { WebSocketClient } from "../../client.ts";
import { asError, onConnected } from "./connected.ts";
import { FrameBatch, Signal } from "./frames.ts";

/** How far a state can be relied on. */
export interface Standing {
  /** Whether the desk has told it, ever. */
  readonly isKnown: boolean;
  readonly isLoading: boolean;
  readonly error: Error | null;
}

export interface CarriedOptions<State, Told, View> {
  readonly client: WebSocketClient;
  readonly initial: State;
  /** Null: nobody can be asked, and the state is what messages make of `initial`. */
  readonly ask: (() => Promise<State>) | null;
  /** Pure: `told` may be applied again to a state that knows of it already. */
  readonly carry: (state: State, told: Told) => State;
  /** Hands on what concerns this state, until the returned functions are called. */
  readonly listen: (take: (told: Told) => void) => readonly (() => void)[];
  readonly view: (state: State, standing: Standing) => View;
}

/** An external store: attached while somebody listens, asked for anew with each connection. */
export class Carried<State, Told, View> {
  readonly #options: CarriedOptions<State, Told, View>;
  readonly #signal = new Signal();
  readonly #batch = new FrameBatch(() => this.#commit());
  #state: State;
  /** What came while the desk was asked, to be carried on from its answer. */
  #meanwhile: Told[] | null = null;
  #isKnown = false;
  #error: Error | null = null;
  #snapshot: View;
  #stops: readonly (() => void)[] | null = null;
  #listeners = 0;

  constructor(options: CarriedOptions<State, Told, View>) {
    this.#options = options;
    this.#state = options.initial;
    this.#snapshot = options.view(this.#state, { isKnown: false, isLoading: false, error: null });
  }

  get isAttached(): boolean {
    return this.#stops !== null;
  }

  subscribe(channel: string | null, listener: () => void): () => void {
    const { client, listen } = this.#options;
    this.#listeners += 1;
    this.#stops ??= [...listen((told) => this.#take(told)), onConnected(client, () => void this.load())];
    const release = channel === null ? () => {} : client.lease(channel);
    const stop = this.#signal.subscribe(listener);
    return () => {
      stop();
      release();
      this.#listeners -= 1;
      if (this.#listeners > 0) return;
      for (const end of this.#stops ?? []) end();
      this.#stops = null;
    };
  }

  readonly getSnapshot = (): View => this.#snapshot;

  /** Asks the desk; once at a time. */
  async load(): Promise<void> {
    const { ask, carry } = this.#options;
    if (!ask || this.#meanwhile) return;
    this.#meanwhile = [];
    this.#batch.schedule();
    try {
      const asked = await ask();
      this.#state = this.#meanwhile.reduce(carry, asked);
      this.#isKnown = true;
      this.#error = null;
    } catch (error) {
      this.#error = asError(error);
    } finally {
      this.#meanwhile = null;
      this.#batch.schedule();
    }
  }

  #take(told: Told): void {
    this.#meanwhile?.push(told);
    this.#state = this.#options.carry(this.#state, told);
    this.#batch.schedule();
  }

  #commit(): void {
    const standing = { isKnown: this.#isKnown, isLoading: this.#meanwhile !== null, error: this.#error };
    this.#snapshot = this.#options.view(this.#state, standing);
    this.#signal.notify();
  }
}
