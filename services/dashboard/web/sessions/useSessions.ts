/** Sessions: what the desk knew when we sat down, and what has happened since. */

import type { AlgorithmDecision } from "@tapewire/client";
import { useRealTimeSessions, useTapewire } from "@tapewire/client/react";
import type { Session } from "@tapewire/client/react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { useDesk } from "../app/desk.ts";
import { requestJson } from "../app/http.ts";

/** A session as `GET /v1/sessions` tells it. */
interface Told {
  readonly userId: string;
  readonly sessionId: string;
  readonly status: Session["status"];
  readonly lastDecisions?: readonly AlgorithmDecision[];
  readonly [field: string]: unknown;
}

const OVER = new Set<Session["status"]>(["completed", "expired"]);

/** What is live wins, field by field; open sessions come first, then the newest. Pure. */
export function merged(told: readonly Told[], live: readonly Session[]): Session[] {
  const found = new Map<string, Session>();
  for (const session of told) {
    const known = Object.fromEntries(Object.entries(session).filter(([, value]) => value !== null));
    found.set(session.sessionId, known as unknown as Session);
  }
  for (const session of live) found.set(session.sessionId, { ...found.get(session.sessionId), ...session });
  return [...found.values()].sort(
    (a, b) =>
      Number(OVER.has(a.status)) - Number(OVER.has(b.status)) ||
      (b.startedAt ?? "").localeCompare(a.startedAt ?? "") ||
      a.sessionId.localeCompare(b.sessionId),
  );
}

export function useSessions() {
  const { config, tokens } = useDesk();
  const { client } = useTapewire();
  const live = useRealTimeSessions();
  const queries = useQueryClient();
  const { data, isPending, error } = useQuery({
    queryKey: ["sessions"],
    queryFn: () => requestJson<{ sessions: Told[] }>(tokens, "GET", `${config.desk}/v1/sessions?last=50`),
  });
  const told = data?.sessions;

  useEffect(() => {
    const reload = () => void queries.invalidateQueries({ queryKey: ["sessions"] });
    const stops = [client.onGap(reload), client.onMessage("session_started", reload)];
    return () => stops.forEach((stop) => stop());
  }, [client, queries]);

  const sessions = useMemo(() => merged(told ?? [], live), [told, live]);
  const decisions = useMemo(() => (told ?? []).flatMap(({ lastDecisions }) => lastDecisions ?? []), [told]);
  return { sessions, decisions, isLoading: isPending && live.length === 0, error };
}
