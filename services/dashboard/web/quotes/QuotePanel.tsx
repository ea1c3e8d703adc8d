import { isOld, useRealTimeMarketData, useWebSocketConnection } from "@tapewire/client/react";
import type { Quote, Session } from "@tapewire/client/react";
import { memo, useMemo } from "react";
import { NONE, big, price, signedPercent } from "../ui/format.ts";
import { arrow, tone } from "../ui/Figure.tsx";
import { Empty, Panel, Skeleton } from "../ui/Panel.tsx";
import { useNow } from "../ui/useNow.ts";
import { useSymbols } from "./useSymbols.ts";

export function QuotePanel({
  sessions,
  selected,
  onSelect,
}: {
  sessions: readonly Session[];
  selected: string | null;
  onSelect: (symbol: string) => void;
}) {
  const { symbols, isLoading } = useSymbols(sessions);
  const quotes = useRealTimeMarketData(symbols);
  const { isStale } = useWebSocketConnection();
  const now = useNow();
  const newest = useMemo(() => Math.max(0, ...Object.values(quotes).map((quote) => quote?.receivedAt ?? 0)), [quotes]);
  const note = newest > 0 && now - newest > 5000 ? <span className="text-warning">no tick for {Math.round((now - newest) / 1000)} s</span> : undefined;
  return (
    <Panel title="Quotes" note={note} className="shrink-0 lg:max-h-[42%]">
      {symbols.length === 0 ? (
        isLoading ? (
          <Skeleton rows={4} />
        ) : (
          <Empty title="No quotes yet">Symbols appear here when the market service has seen a tick.</Empty>
        )
      ) : (
        <div className="relative min-h-0 overflow-auto">
          <table className="w-full border-collapse tabular-nums">
            <thead className="bg-panel text-muted sticky top-0 text-xs">
              <tr className="h-7 [&>th]:px-3 [&>th]:font-medium">
                <th className="text-left">Symbol</th>
                <th className="text-right">Last</th>
                <th className="text-right">Change</th>
                <th className="hidden text-right sm:table-cell">Bid</th>
                <th className="hidden text-right sm:table-cell">Ask</th>
                <th className="hidden text-right xl:table-cell">Spread</th>
                <th className="hidden text-right xl:table-cell">Volume</th>
              </tr>
            </thead>
            <tbody>
              {symbols.map((symbol) => {
                const quote = quotes[symbol];
                return (
                  <QuoteRow
                    key={symbol}
                    symbol={symbol}
                    quote={quote}
                    isStale={isStale || quote?.stale === true || (quote !== undefined && isOld(quote, now))}
                    isSelected={symbol === selected}
                    onSelect={onSelect}
                  />
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

const QuoteRow = memo(function QuoteRow({
  symbol,
  quote,
  isStale,
  isSelected,
  onSelect,
}: {
  symbol: string;
  quote: Quote | undefined;
  isStale: boolean;
  isSelected: boolean;
  onSelect: (symbol: string) => void;
}) {
  const flash = isStale || !quote ? "" : quote.direction > 0 ? "flash-up" : quote.direction < 0 ? "flash-down" : "";
  const muted = isStale ? "text-muted" : "";
  const spread = quote?.bid !== undefined && quote.ask !== undefined ? quote.ask - quote.bid : undefined;
  return (
    <tr
      data-testid="quote"
      data-stale={isStale}
      className={`border-line h-7 border-t [&>td]:px-3 ${isSelected ? "bg-link/6" : "hover:bg-raised/60"} ${muted}`}
    >
      <td>
        <button
          type="button"
          aria-pressed={isSelected}
          className={`h-6 font-semibold hover:underline ${isStale ? "" : "text-strong"}`}
          onClick={() => onSelect(symbol)}
        >
          {symbol}
        </button>
      </td>
      {/* A new key for a new price starts the fading tint again. */}
      <td key={quote?.last ?? "none"} className={`text-right font-medium ${isStale ? "" : "text-strong"} ${flash}`}>
        {price(quote?.last)}
      </td>
      <td className={`text-right ${isStale ? "" : tone(quote?.change)}`}>
        <span aria-hidden="true" className="mr-1 text-[0.7em]">
          {arrow(quote?.change)}
        </span>
        {signedPercent(quote?.change)}
      </td>
      <td className="hidden text-right sm:table-cell">{price(quote?.bid)}</td>
      <td className="hidden text-right sm:table-cell">{price(quote?.ask)}</td>
      <td className="text-muted hidden text-right xl:table-cell">{spread === undefined ? NONE : spread.toFixed(quote!.last < 10 ? 4 : 2)}</td>
      <td className="text-muted hidden text-right xl:table-cell">{big(quote?.volume)}</td>
    </tr>
  );
});
