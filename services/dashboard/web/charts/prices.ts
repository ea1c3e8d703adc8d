/** Prices of each symbol since this page was opened. */

import { useTapewire } from "@tapewire/client/react";
import { useEffect, useState } from "react";
import { add } from "./series.ts";
import type { Point } from "./series.ts";

type Listener = (symbol: string, point: Point) => void;

export class Prices {
  readonly #series = new Map<string, Point[]>();
  readonly #listeners = new Set<Listener>();

  of(symbol: string): readonly Point[] {
    return this.#series.get(symbol) ?? [];
  }

  add(symbol: string, atMs: number, value: number): void {
    let series = this.#series.get(symbol);
    if (!series) this.#series.set(symbol, (series = []));
    const point = add(series, atMs, value);
    if (point) for (const listener of this.#listeners) listener(symbol, point);
  }

  onPoint(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** Collects from the client's messages as long as the component is there. */
export function usePrices(): Prices {
  const { client } = useTapewire();
  const [prices] = useState(() => new Prices());
  useEffect(
    () =>
      // By our time, not the venue's: recorded prices that are played again belong beside today's P&L.
      client.onMessage("market_data", ({ symbol, timestamp, last }) => {
        prices.add(symbol, Date.parse(timestamp), last);
      }),
    [client, prices],
  );
  return prices;
}
