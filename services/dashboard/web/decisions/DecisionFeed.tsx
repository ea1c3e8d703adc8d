import type { AlgorithmDecision } from "@tapewire/client";
import { memo, useState } from "react";
import { price, time } from "../ui/format.ts";
import { Empty, Panel, Skeleton } from "../ui/Panel.tsx";

const SHOWN = 100; // rows: some screens of scrolling; the rest is history

const ACTIONS: Record<AlgorithmDecision["decision"], { label: string; look: string }> = {
  buy: { label: "Buy", look: "bg-up/8 text-up" },
  sell: { label: "Sell", look: "bg-down/8 text-down" },
  hold: { label: "Hold", look: "bg-raised text-muted" },
  close_position: { label: "Close", look: "bg-warning/8 text-warning" },
};

export function DecisionFeed({
  decisions: all,
  isLoading,
  isCut,
}: {
  decisions: readonly AlgorithmDecision[];
  isLoading: boolean;
  /** Whether those of before could not be had. */
  isCut: boolean;
}) {
  const [tradesOnly, setTradesOnly] = useState(false);
  const decisions = all.filter(({ decision }) => !tradesOnly || decision !== "hold").slice(0, SHOWN);
  const isOne = new Set(decisions.map(({ algorithmId, sessionId }) => `${algorithmId} ${sessionId}`)).size < 2;
  return (
    <Panel
      title="Decisions"
      className="max-lg:max-h-[28rem] max-md:order-last md:max-lg:col-start-2"
      actions={
        <button
          type="button"
          aria-pressed={tradesOnly}
          onClick={() => setTradesOnly(!tradesOnly)}
          className={`h-6 rounded px-2 text-xs font-medium ${tradesOnly ? "bg-raised text-strong" : "text-muted hover:text-strong"}`}
        >
          Without holds
        </button>
      }
    >
      {decisions.length === 0 ? (
        isLoading ? (
          <Skeleton rows={4} height="h-12" />
        ) : (
          <Empty title={isCut ? "History is not available" : "No decisions yet"}>
            What the algorithms decide, and why, appears here as it happens.
          </Empty>
        )
      ) : (
        <ol className="relative min-h-0 flex-1 overflow-y-auto" tabIndex={0} aria-label="Decisions, newest first">
          {decisions.map((decision) => (
            <Decision key={decision.id} decision={decision} isOne={isOne} />
          ))}
        </ol>
      )}
    </Panel>
  );
}

/** `isOne`: all are of one session, which need not be said with each. */
const Decision = memo(function Decision({ decision, isOne }: { decision: AlgorithmDecision; isOne: boolean }) {
  const { label, look } = ACTIONS[decision.decision];
  const { marketData, confidence } = decision;
  return (
    <li data-testid="decision" className="border-line border-b px-3 py-2 last:border-b-0">
      <div className="flex items-center gap-2">
        <span className={`w-12 rounded px-1 py-px text-center text-xs font-semibold ${look}`}>{label}</span>
        {marketData && (
          <span className="tabular-nums">
            <span className="text-strong font-semibold">{marketData.symbol}</span>{" "}
            <span className="text-muted">{price(marketData.price)}</span>
          </span>
        )}
        <Confidence value={confidence} />
        <time dateTime={decision.timestamp} className="text-muted text-xs tabular-nums">
          {time(decision.timestamp)}
        </time>
      </div>
      <p className="mt-1 line-clamp-2 leading-snug" title={decision.reasoning}>
        {decision.reasoning}
      </p>
      {!isOne && (
        <p className="text-muted mt-0.5 truncate text-xs">
          {decision.algorithmId} · {decision.sessionId}
        </p>
      )}
    </li>
  );
});

function Confidence({ value }: { value: number }) {
  const text = `${Math.round(value * 100)} %`;
  return (
    <span className="ml-auto flex items-center gap-1.5 text-xs tabular-nums" title="Confidence">
      <span aria-hidden="true" className="bg-line h-1 w-10 overflow-hidden rounded-full">
        <span className="bg-link block h-full" style={{ width: text.replace(" ", "") }} />
      </span>
      <span className="text-muted w-9 text-right">
        <span className="sr-only">Confidence </span>
        {text}
      </span>
    </span>
  );
}
