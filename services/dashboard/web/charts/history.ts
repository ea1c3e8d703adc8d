/** P&L of each session and price of each symbol since this page was opened. */

import { useTapewire } from "@tapewire/client/react";
import { useEffect, useState } from "react";
import { add } from "./series.ts";
import type { Point } from "./series.ts";

type Listener = (key: string, point: Point) => void;

export class History {
  readonly #series = new Map<string, Point[]>();
  readonly #listeners = new Set<Listener>();

  of(key: string): readonly Point[] {
    return this.#series.get(key) ?? [];
  }

  add(key: string, atMs: number, value: number): void {
    let series = this.#series.get(key);
    if (!series) this.#series.set(key, (series = []));
    const point = add(series, atMs, value);
    if (point) for (const listener of this.#listeners) listener(key, point);
  }

  onPoint(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** Collects from the client's messages as long as the component is there. */
export function useHistory(): History {
  const { client } = useTapewire();
  const [history] = useState(() => new History());
  useEffect(() => {
    const stops = [
      client.onMessage("session_status", (message) => {
        history.add(`pnl:${message.sessionId}`, Date.parse(message.timestamp), message.data.currentPnL);
      }),
      client.onMessage("market_data", (message) => {
        history.add(`price:${message.symbol}`, Date.parse(message.asOf ?? message.timestamp), message.last);
      }),
    ];
    return () => stops.forEach((stop) => stop());
  }, [client, history]);
  return history;
}
