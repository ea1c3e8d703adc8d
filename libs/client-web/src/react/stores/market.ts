/** The newest quote of each symbol, committed at most once a frame. */

import type { WebSocketClient } from "../../client.ts";
import type { MarketData } from "../../contracts.gen.ts";
import { FrameBatch } from "./frames.ts";
import { refreshed } from "./freshness.ts";
import type { Freshness } from "./freshness.ts";

export interface Quote extends MarketData, Freshness {
  /** Where `last` went with the newest change: up, down, or nowhere yet. */
  readonly direction: 1 | -1 | 0;
}

export type Quotes = Readonly<Record<string, Quote | undefined>>;

interface View {
  readonly key: string;
  readonly symbols: readonly string[];
  snapshot: Quotes;
  readonly listeners: Set<() => void>;
}

export class MarketStore {
  readonly #client: WebSocketClient;
  readonly #quotes = new Map<string, Quote>();
  readonly #changed = new Set<string>();
  readonly #views = new Map<string, View>();
  readonly #batch = new FrameBatch(() => this.#commit());
  #stop: (() => void) | null = null;

  constructor(client: WebSocketClient) {
    this.#client = client;
  }

  /** Quotes of these symbols as an external store; the same object for the same symbols. */
  view(symbols: readonly string[]) {
    const key = symbols.join();
    const view = this.#views.get(key) ?? { key, symbols: [...symbols], snapshot: this.#of(symbols), listeners: new Set() };
    return {
      subscribe: (listener: () => void) => this.#subscribe(view, listener),
      getSnapshot: () => view.snapshot,
    };
  }

  #subscribe(view: View, listener: () => void): () => void {
    this.#stop ??= this.#client.onMessage("market_data", (quote) => this.#take(quote));
    const release = this.#client.lease(...view.symbols.map((symbol) => `market:${symbol}`));
    this.#views.set(view.key, view);
    view.listeners.add(listener);
    return () => {
      view.listeners.delete(listener);
      if (view.listeners.size === 0) this.#views.delete(view.key);
      release();
    };
  }

  #take(quote: MarketData): void {
    const before = this.#quotes.get(quote.symbol);
    const move = Math.sign(quote.last - (before?.last ?? quote.last)) as 1 | -1 | 0;
    const freshness = refreshed(before, Date.now());
    this.#quotes.set(quote.symbol, { ...quote, ...freshness, direction: move || (before?.direction ?? 0) });
    this.#changed.add(quote.symbol);
    this.#batch.schedule();
  }

  #commit(): void {
    const changed = new Set(this.#changed);
    this.#changed.clear();
    for (const view of this.#views.values()) {
      if (!view.symbols.some((symbol) => changed.has(symbol))) continue;
      view.snapshot = this.#of(view.symbols);
      for (const listener of [...view.listeners]) listener();
    }
  }

  #of(symbols: readonly string[]): Quotes {
    return Object.fromEntries(symbols.map((symbol) => [symbol, this.#quotes.get(symbol)]));
  }
}
