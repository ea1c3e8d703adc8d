import { useSessionHistory } from "@tapewire/client/react";
import type { ISeriesApi, UTCTimestamp } from "lightweight-charts";
import { useEffect, useRef } from "react";

type Series = ISeriesApi<"Baseline">;

/** Keeps a series at a session's P&L: history from the desk, carried on as it comes. Draws by effect only. */
export function PnlLine({ sessionId, series }: { sessionId: string; series: Series }) {
  const { points } = useSessionHistory(sessionId);
  const drawn = useRef<{ series: Series; begin: number | undefined; length: number } | null>(null);
  useEffect(() => {
    const at = points.map(({ time, pnl }) => ({ time: time as UTCTimestamp, value: pnl }));
    const before = drawn.current;
    const grows = before?.series === series && before.begin === at[0]?.time && at.length - before.length <= 1 && at.length >= before.length;
    drawn.current = { series, begin: at[0]?.time, length: at.length };
    if (grows && at.length > 0) series.update(at.at(-1)!);
    else series.setData(at);
  }, [points, series]);
  return null;
}
