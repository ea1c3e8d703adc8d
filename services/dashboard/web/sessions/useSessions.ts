/** Sessions: what the desk knew when we sat down, and what has happened since. */

import { useRealTimeSessions, useTapewire } from "@tapewire/client/react";
import type { Session } from "@tapewire/client/react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { useDesk } from "../app/desk.ts";
import { requestJson } from "../app/http.ts";
import { isLive } from "./session.ts";

/** A session as `GET /v1/sessions` tells it. */
interface Told {
  readonly userId: string;
  readonly sessionId: string;
  readonly status: Session["status"];
  readonly [field: string]: unknown;
}

const CATCH_UP_MS = 3000; // desk hears of a session a moment after we do
const CATCH_UPS = 10; // a session that nobody announced stays as it is

/** What is live wins, field by field; running sessions come first, then the newest. Pure. */
export function merged(told: readonly Told[], live: readonly Session[]): Session[] {
  const found = new Map<string, Session>();
  for (const session of told) found.set(session.sessionId, withoutNulls(session) as unknown as Session);
  for (const session of live) found.set(session.sessionId, { ...found.get(session.sessionId), ...session });
  return [...found.values()].sort(
    (a, b) =>
      Number(isLive(b)) - Number(isLive(a)) ||
      startOf(b) - startOf(a) ||
      a.sessionId.localeCompare(b.sessionId),
  );
}

function startOf({ startedAt }: Session): number {
  return startedAt === undefined ? 0 : Date.parse(startedAt);
}

/** HTTP says null for what is not known; on the socket, and here, it is left out. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  const known = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(known.map(([key, field]) => [key, withoutNulls(field)]));
}

export function useSessions() {
  const { config, tokens } = useDesk();
  const { client } = useTapewire();
  const live = useRealTimeSessions();
  const queries = useQueryClient();
  const { data, isPending, error } = useQuery({
    queryKey: ["sessions"],
    queryFn: () => requestJson<{ sessions: Told[] }>(tokens, "GET", `${config.desk}/v1/sessions?last=0`),
    refetchInterval: ({ state }) => {
      const known = new Set(state.data?.sessions.filter(({ startedAt }) => startedAt).map(({ sessionId }) => sessionId));
      const missing = live.some(({ sessionId, startedAt }) => !startedAt && !known.has(sessionId));
      return missing && state.dataUpdateCount < CATCH_UPS ? CATCH_UP_MS : false;
    },
  });
  const told = data?.sessions;

  useEffect(() => {
    const reload = () => void queries.invalidateQueries({ queryKey: ["sessions"] });
    const stops = [client.onGap(reload), client.onMessage("session_started", reload)];
    return () => stops.forEach((stop) => stop());
  }, [client, queries]);

  const sessions = useMemo(() => merged(told ?? [], live), [told, live]);
  return { sessions, isKnown: !isPending, isLoading: isPending && live.length === 0, error };
}
