import { isOld, useWebSocketConnection } from "@tapewire/client/react";
import type { Session } from "@tapewire/client/react";
import { memo } from "react";
import { ProfitLoss } from "../ui/Figure.tsx";
import { ago, count, duration, percent } from "../ui/format.ts";
import { useNow } from "../ui/useNow.ts";
import { isLive } from "./session.ts";

const STATUS: Record<Session["status"], { label: string; look: string }> = {
  active: { label: "Active", look: "text-up" },
  paused: { label: "Paused", look: "text-warning" },
  completed: { label: "Completed", look: "text-muted" },
  expired: { label: "Expired", look: "text-muted" },
  emergency_stopped: { label: "Stopped", look: "text-(--critical-text)" },
};

export const LiveSessionCard = memo(function LiveSessionCard({
  session,
  isSelected,
  onSelect,
}: {
  session: Session;
  isSelected: boolean;
  onSelect: () => void;
}) {
  const now = useNow();
  const connection = useWebSocketConnection();
  const { sessionId, status, data, receivedAt, algorithmId, symbols } = session;
  const { label, look } = STATUS[status];
  const freshness = receivedAt === undefined ? null : { receivedAt, intervalMs: session.intervalMs ?? null };
  const stale = isLive(session) && (connection.isStale || (freshness !== null && isOld(freshness, now)));
  return (
    <button
      type="button"
      aria-pressed={isSelected}
      onClick={onSelect}
      data-testid="session"
      className={`block w-full rounded border p-2.5 text-left transition-colors ${
        isSelected ? "border-link bg-link/6" : "border-line hover:border-muted"
      }`}
    >
      <span className="flex items-center gap-2">
        <span className="text-strong truncate font-semibold">{sessionId}</span>
        <span className={`ml-auto flex items-center gap-1 text-xs font-medium ${stale ? "text-muted" : look}`}>
          <span aria-hidden="true" className="size-1.5 rounded-full bg-current" />
          {label}
        </span>
      </span>
      <span className="text-muted block truncate text-xs">
        {[algorithmId, symbols?.join(" ")].filter(Boolean).join(" · ") || "\u00a0"}
      </span>
      <span className="mt-1.5 mb-2 flex items-baseline justify-between">
        <ProfitLoss value={data?.currentPnL} stale={stale} className="text-xl font-bold" />
        {stale && receivedAt !== undefined && <span className="text-warning text-xs">{ago(receivedAt, now)}</span>}
      </span>
      <RiskBar utilization={data?.lossLimitUtilization} limit={session.lossLimit} isStale={stale} />
      <span className="text-muted mt-2 flex justify-between text-xs tabular-nums">
        <span>{`${count(data?.totalTrades)} ${data?.totalTrades === 1 ? "trade" : "trades"}`}</span>
        <span>{age(session, now)}</span>
        {data?.performanceScore !== undefined && <span>score {data.performanceScore.toFixed(0)}</span>}
      </span>
    </button>
  );
});

function age(session: Session, now: number): string {
  const { startedAt, data, receivedAt, timeLimitS } = session;
  const elapsed = data?.timeElapsed;
  const started = startedAt === undefined ? null : (now - Date.parse(startedAt)) / 1000;
  const since = elapsed !== undefined && receivedAt !== undefined ? elapsed + (now - receivedAt) / 1000 : started;
  const seconds = isLive(session) ? since : (elapsed ?? null);
  if (seconds === null) return "";
  return timeLimitS ? `${duration(seconds)} of ${duration(timeLimitS)}` : duration(seconds);
}

/** How much of the loss limit is used, with marks where alerts are raised. */
export function RiskBar({
  utilization,
  limit,
  isStale = false,
}: {
  utilization: number | undefined;
  limit: number | undefined;
  isStale?: boolean;
}) {
  const used = utilization ?? 0;
  const colour = isStale ? "bg-muted" : used >= 90 ? "bg-critical" : used >= 75 ? "bg-warning" : "bg-link";
  const text =
    utilization === undefined ? "no loss limit" : `${percent(used)}${limit ? ` of ${count(limit)}` : ""}`;
  return (
    <span className="block">
      <span className="mb-1 flex justify-between text-xs">
        <span className="text-muted">Loss limit</span>
        <span className={`tabular-nums ${!isStale && used >= 75 ? "text-strong font-medium" : "text-muted"}`}>{text}</span>
      </span>
      <span
        role="meter"
        aria-label="Loss limit used"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.min(100, Math.max(0, used))}
        aria-valuetext={text}
        className="bg-line relative block h-1.5 overflow-hidden rounded-full"
      >
        <span
          className={`absolute inset-y-0 left-0 rounded-full transition-[width] duration-300 ${colour}`}
          style={{ width: `${Math.min(100, Math.max(0, used))}%` }}
        />
        <span aria-hidden="true" className="bg-panel absolute inset-y-0 left-3/4 w-px" />
        <span aria-hidden="true" className="bg-panel absolute inset-y-0 left-[90%] w-px" />
      </span>
    </span>
  );
}
