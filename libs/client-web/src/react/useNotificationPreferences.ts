import { useMemo, useSyncExternalStore } from "react";
import { useTapewire } from "./context.ts";
import { NO_PREFERENCES } from "./stores/preferences.ts";
import type { NotificationPreferences, PreferencesChange } from "./stores/preferences.ts";

export interface UseNotificationPreferences extends NotificationPreferences {
  /** Changes what it names, on all devices; rejects when the desk did not keep it. */
  save(change: PreferencesChange): Promise<void>;
  refresh(): Promise<void>;
}

/** How the user wants to be notified; follows changes on other devices. */
export function useNotificationPreferences(): UseNotificationPreferences {
  const { preferences } = useTapewire();
  const state = useSyncExternalStore(preferences.subscribe, preferences.getSnapshot, () => NO_PREFERENCES);
  return useMemo(
    () => ({
      ...state,
      save: (change) => preferences.save(change),
      refresh: () => preferences.refresh(),
    }),
    [preferences, state],
  );
}
