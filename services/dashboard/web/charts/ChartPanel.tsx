import type { AlgorithmDecision } from "@tapewire/client";
import { useTapewire, useWebSocketConnection } from "@tapewire/client/react";
import type { Session } from "@tapewire/client/react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Suspense, lazy, useEffect, useMemo } from "react";
import { useAppearance } from "../app/appearance.ts";
import { useDesk } from "../app/desk.ts";
import { requestJson } from "../app/http.ts";
import { Empty, Panel, Skeleton } from "../ui/Panel.tsx";
import { usePrices } from "./prices.ts";
import type { Point } from "./series.ts";

// A third of all code: the figures are there before it is.
const DeskChart = lazy(() => import("./DeskChart.tsx").then((module) => ({ default: module.DeskChart })));

interface Bar {
  readonly at: string;
  readonly close: number;
}

const POINTS = 500; // what the market service keeps

const TODAY_MS = 12 * 3600_000; // older bars are another day's, or of a record that is played again

const second = (at: string) => Math.floor(Date.parse(at) / 1000);

/** P&L of a session over the price of a symbol, with limits and decisions. */
export function ChartPanel({
  session,
  symbol,
  decisions: all,
  isLoading,
  isCut,
  onSymbol,
}: {
  session: Session | null;
  symbol: string | null;
  decisions: readonly AlgorithmDecision[];
  isLoading: boolean;
  /** Whether P&L of before could not be had. */
  isCut: boolean;
  onSymbol: (symbol: string) => void;
}) {
  const { config, tokens } = useDesk();
  const { theme, palette } = useAppearance();
  const { isStale } = useWebSocketConnection();
  const prices = usePrices();
  const symbols = session?.symbols ?? [];
  const bars = useQuery({
    queryKey: ["bars", symbol],
    enabled: symbol !== null,
    staleTime: Infinity,
    queryFn: async () => {
      const path = `/v1/bars/${encodeURIComponent(symbol!)}?interval=1s&limit=${POINTS}`;
      const found = await requestJson<Bar[]>(tokens, "GET", config.market + path);
      const since = Date.now() - TODAY_MS;
      return found.filter(({ at }) => Date.parse(at) > since).map(({ at, close }): Point => ({ time: second(at), value: close }));
    },
  });
  const sessionId = session?.sessionId ?? null;
  useBarsOnReturn();
  const decisions = useMemo(
    () => all.filter(({ sessionId, marketData }) => sessionId === session?.sessionId && marketData?.symbol === symbol),
    [all, session?.sessionId, symbol],
  );
  const missing = [isCut ? "P&L" : null, bars.isError ? "prices" : null].filter(Boolean).join(" and ");
  const options = symbol !== null && !symbols.includes(symbol) ? [symbol, ...symbols] : symbols;
  return (
    <Panel
      title={session ? `P&L ${session.sessionId}` : "P&L"}
      note={isStale && session ? <span className="text-warning">not current</span> : missing ? `${missing} of before not available` : undefined}
      className="min-h-72 flex-1 lg:min-h-56"
      actions={
        options.length > 0 && (
          <label className="flex items-center gap-2 text-xs">
            <span className="text-muted">Price</span>
            <select
              value={symbol ?? ""}
              onChange={(event) => onSymbol(event.target.value)}
              className="bg-raised border-line text-strong h-6 rounded border px-1.5"
            >
              {options.map((option) => (
                <option key={option}>{option}</option>
              ))}
            </select>
          </label>
        )
      }
    >
      {session === null && symbol === null ? (
        isLoading ? (
          <Skeleton rows={1} height="flex-1" />
        ) : (
          <Empty title="Nothing to draw yet">P&L and price appear with the first session, or choose a symbol below.</Empty>
        )
      ) : (
        <Suspense fallback={<Skeleton rows={1} height="flex-1" />}>
          <DeskChart
            key={`${session?.sessionId} ${symbol} ${theme} ${palette}`}
            sessionId={sessionId}
            lossLimit={session?.lossLimit}
            symbol={symbol}
            recorded={bars.data}
            prices={prices}
            decisions={decisions}
          />
        </Suspense>
      )}
    </Panel>
  );
}

/** After each reconnection, the bars that were missed are fetched. */
function useBarsOnReturn(): void {
  const { client } = useTapewire();
  const queries = useQueryClient();
  useEffect(() => {
    let was = client.info.state;
    return client.onStateChange(() => {
      const { state } = client.info;
      if (state === "connected" && was !== "connected" && was !== "connecting") {
        void queries.invalidateQueries({ queryKey: ["bars"] });
      }
      was = state;
    });
  }, [client, queries]);
}
