import { useCallback, useSyncExternalStore } from "react";
import { useTapewire } from "./context.ts";
import type { Session } from "./stores/sessions.ts";

const NONE: readonly Session[] = [];

/** A session as its events leave it; null until something is known. */
export function useRealTimeSessionStatus(sessionId: string): Session | null {
  const { sessions } = useTapewire();
  return useSyncExternalStore(
    useCallback((listener: () => void) => sessions.subscribe(`session:${sessionId}`, listener), [sessions, sessionId]),
    () => sessions.session(sessionId),
    () => null,
  );
}

/** All sessions of a user that were heard of, newest first; of the connection's own user when left out. */
export function useRealTimeSessions(userId?: string): readonly Session[] {
  const { client, sessions } = useTapewire();
  const connected = useSyncExternalStore(
    useCallback((listener: () => void) => client.onStateChange(listener), [client]),
    () => client.info.userId,
    () => null,
  );
  const user = userId ?? connected;
  return useSyncExternalStore(
    useCallback(
      (listener: () => void) => sessions.subscribe(user === null ? null : `sessions:${user}`, listener),
      [sessions, user],
    ),
    () => sessions.all(),
    () => NONE,
  );
}
