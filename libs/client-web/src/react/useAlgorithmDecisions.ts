import { useCallback, useMemo, useSyncExternalStore } from "react";
import type { AlgorithmDecision } from "../contracts.gen.ts";
import { useTapewire } from "./context.ts";

const NONE: readonly AlgorithmDecision[] = [];

/** What the algorithms decided lately, newest first: of one session, or of all the user's sessions. */
export function useAlgorithmDecisions(sessionId?: string): readonly AlgorithmDecision[] {
  const { client, decisions } = useTapewire();
  const user = useSyncExternalStore(
    useCallback((listener: () => void) => client.onStateChange(listener), [client]),
    () => client.info.userId,
    () => null,
  );
  const channel = sessionId !== undefined ? `session:${sessionId}` : user === null ? null : `sessions:${user}`;
  const all = useSyncExternalStore(
    useCallback((listener: () => void) => decisions.subscribe(channel, listener), [decisions, channel]),
    () => decisions.list(),
    () => NONE,
  );
  return useMemo(
    () => (sessionId === undefined ? all : all.filter((decision) => decision.sessionId === sessionId)),
    [all, sessionId],
  );
}
