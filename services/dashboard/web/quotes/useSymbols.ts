/** Which symbols the list of quotes shows: what the market knows, and what the sessions trade. */

import type { Session } from "@tapewire/client/react";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useDesk } from "../app/desk.ts";
import { requestJson } from "../app/http.ts";

const FIRST_MS = 5000; // the first tick may be yet to come
const LATER_MS = 30_000; // and so may a symbol: a market that opens later
const SHOWN = 24; // rows; more than this is a scanner's work, not a watch list's

export function useSymbols(sessions: readonly Session[]): { symbols: readonly string[]; isLoading: boolean } {
  const { config, tokens } = useDesk();
  const { data, isPending } = useQuery({
    queryKey: ["symbols"],
    queryFn: async () => {
      const quotes = await requestJson<{ symbol: string }[]>(tokens, "GET", `${config.market}/v1/quotes`);
      return quotes.map(({ symbol }) => symbol);
    },
    refetchInterval: (query) => (query.state.data?.length ? LATER_MS : FIRST_MS),
  });
  const traded = sessions.flatMap(({ symbols }) => symbols ?? []).join();
  const symbols = useMemo(
    () => [...new Set([...(traded ? traded.split(",") : []), ...(data ?? [])])].slice(0, SHOWN),
    [traded, data],
  );
  return { symbols, isLoading: isPending };
}
