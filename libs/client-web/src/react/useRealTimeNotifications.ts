import { useMemo, useSyncExternalStore } from "react";
import { useTapewire } from "./context.ts";
import { NO_NOTIFICATIONS } from "./stores/notifications.ts";
import type { Notifications } from "./stores/notifications.ts";

export interface UseRealTimeNotifications extends Notifications {
  markAsRead(...ids: string[]): Promise<void>;
  markAllAsRead(): Promise<void>;
  /** Acknowledges an alert on all the user's devices. */
  acknowledge(id: string): Promise<void>;
  /** Archives what is shown, but for alerts that nobody acknowledged. */
  clearAll(): Promise<void>;
  fetchMore(): Promise<void>;
  refresh(): Promise<void>;
}

/**
 * Alerts and notices, live and from history. While any component has used this, an alert that wants an
 * acknowledgement gets it from `acknowledge` only, and comes again after a reload until then.
 */
export function useRealTimeNotifications(): UseRealTimeNotifications {
  const { notifications } = useTapewire();
  const state = useSyncExternalStore(notifications.subscribe, notifications.getSnapshot, () => NO_NOTIFICATIONS);
  return useMemo(
    () => ({
      ...state,
      markAsRead: (...ids) => notifications.markAsRead(...ids),
      markAllAsRead: () => notifications.markAllAsRead(),
      acknowledge: (id) => notifications.acknowledge(id),
      clearAll: () => notifications.clearAll(),
      fetchMore: () => notifications.fetchMore(),
      refresh: () => notifications.refresh(),
    }),
    [notifications, state],
  );
}
