import { useMemo, useSyncExternalStore } from "react";
import { useTapewire } from "./context.ts";
import { NO_HISTORY } from "./stores/history.ts";
import type { SessionHistory } from "./stores/history.ts";

/** A session's P&L over time: history from the desk, carried on live. */
export function useSessionHistory(sessionId: string): SessionHistory {
  const tapewire = useTapewire();
  const store = useMemo(() => tapewire.history(sessionId), [tapewire, sessionId]);
  return useSyncExternalStore(store.subscribe, store.getSnapshot, () => NO_HISTORY);
}
