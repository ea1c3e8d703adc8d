/** What a user's sessions add up to: from the desk, carried on by what each session tells. */

import type { Session } from "@tapewire/client/react";
import { useQuery } from "@tanstack/react-query";
import { useDesk } from "../app/desk.ts";
import { requestJson } from "../app/http.ts";
import { isLive } from "../sessions/session.ts";

/** As `GET /v1/account` tells it. */
export interface Account {
  readonly dayStart: string;
  readonly equity: number | null;
  readonly sessions: readonly {
    readonly sessionId: string;
    readonly pnl: number;
    /** Where it stood when the day began; 0 if it had not begun. */
    readonly pnlBefore: number;
  }[];
}

const REFRESH_MS = 60_000; // what is carried on is exact; this notices midnight, and other people's sessions

const sum = (values: readonly number[]) => (values.length > 0 ? values.reduce((total, value) => total + value, 0) : undefined);

/** Running sessions' equity, else the last known; the day's result of every session of today. Pure. */
export function totals(sessions: readonly Session[], today: number, account?: Account) {
  const recorded = new Map(account?.sessions.map((session) => [session.sessionId, session]));
  const results = new Map(account?.sessions.map(({ sessionId, pnl, pnlBefore }) => [sessionId, pnl - pnlBefore]));
  for (const { sessionId, startedAt, data } of sessions) {
    const isTodays = recorded.has(sessionId) || startedAt === undefined || Date.parse(startedAt) >= today;
    if (isTodays && data) results.set(sessionId, data.currentPnL - (recorded.get(sessionId)?.pnlBefore ?? 0));
  }
  const known = (some: readonly Session[]) => some.flatMap(({ data }) => data?.equity ?? []);
  return {
    equity: sum(known(sessions.filter(isLive))) ?? account?.equity ?? known(sessions)[0],
    dayPnL: sum([...results.values()]),
  };
}

export function useAccount(sessions: readonly Session[]) {
  const { config, tokens } = useDesk();
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const { data } = useQuery({
    queryKey: ["account"],
    queryFn: () => requestJson<Account>(tokens, "GET", `${config.desk}/v1/account?timeZone=${encodeURIComponent(zone)}`),
    refetchInterval: REFRESH_MS,
  });
  return totals(sessions, new Date().setHours(0, 0, 0, 0), data);
}
