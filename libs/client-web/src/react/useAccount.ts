import { useCallback, useMemo, useSyncExternalStore } from "react";
import { useTapewire } from "./context.ts";
import { NO_ACCOUNT } from "./stores/account.ts";
import type { Account } from "./stores/account.ts";

/** Equity and day P&L of the connection's user; the day is that of `timeZone`, by default the browser's. */
export function useAccount(timeZone?: string): Account {
  const tapewire = useTapewire();
  const { client } = tapewire;
  const user = useSyncExternalStore(
    useCallback((listener: () => void) => client.onStateChange(listener), [client]),
    () => client.info.userId,
    () => null,
  );
  const zone = timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  const store = useMemo(() => tapewire.account(zone), [tapewire, zone]);
  return useSyncExternalStore(
    useCallback((listener: () => void) => store.subscribe(user, listener), [store, user]),
    store.getSnapshot,
    () => NO_ACCOUNT,
  );
}
