import { useMemo, useSyncExternalStore } from "react";
import { useTapewire } from "./context.ts";
import type { Quotes } from "./stores/market.ts";

const NONE: Quotes = {};

/** The newest quote of each symbol; at most one render a frame, and none for other symbols' ticks. */
export function useRealTimeMarketData(symbols: readonly string[]): Quotes {
  const { market } = useTapewire();
  const key = symbols.join();
  const view = useMemo(() => market.view(key ? key.split(",") : []), [market, key]);
  return useSyncExternalStore(view.subscribe, view.getSnapshot, () => NONE);
}
