import { memo } from "react";
import { signed } from "./format.ts";

export function tone(value: number | undefined): string {
  return value === undefined || value === 0 ? "text-text" : value > 0 ? "text-up" : "text-down";
}

export function arrow(value: number | undefined): string {
  return value === undefined || value === 0 ? "" : value > 0 ? "▲" : "▼";
}

/** Profit or loss: colour, sign and arrow say the same. */
export const ProfitLoss = memo(function ProfitLoss({
  value,
  className = "",
  stale = false,
}: {
  value: number | undefined;
  className?: string;
  stale?: boolean;
}) {
  if (value === undefined) return <span className={`text-muted ${className}`}>–</span>;
  return (
    <span className={`tabular-nums ${stale ? "text-muted" : tone(value)} ${className}`}>
      <span aria-hidden="true" className="mr-1 inline-block text-[0.7em] align-[0.12em]">
        {arrow(value)}
      </span>
      {signed(value)}
    </span>
  );
});
