import { isOld, useRealTimeMarketData, useWebSocketConnection } from "@tapewire/client/react";
import type { Quote, Session } from "@tapewire/client/react";
import { memo, useMemo } from "react";
import { NONE, big, duration, price, signedPercent } from "../ui/format.ts";
import { arrow, tone } from "../ui/Figure.tsx";
import { Empty, Panel, Skeleton } from "../ui/Panel.tsx";
import { useNow } from "../ui/useNow.ts";
import { useSymbols } from "./useSymbols.ts";

const SILENT_MS = 5000; // the slowest rate that a user may ask for has a tick every 5 s and symbol

export function QuotePanel({
  sessions,
  charted,
  onSelect,
}: {
  sessions: readonly Session[];
  /** The symbol in the chart. */
  charted: string | null;
  onSelect: (symbol: string) => void;
}) {
  const { symbols, isLoading } = useSymbols(sessions);
  const quotes = useRealTimeMarketData(symbols);
  const { isStale } = useWebSocketConnection();
  const now = useNow();
  const newest = useMemo(() => Math.max(0, ...Object.values(quotes).map((quote) => quote?.receivedAt ?? 0)), [quotes]);
  const isSilent = newest > 0 && now - newest > SILENT_MS;
  const note = isSilent ? <span className="text-warning">{`no tick for ${duration((now - newest) / 1000)}`}</span> : undefined;
  return (
    <Panel title="Quotes" note={note} className="@container shrink-0 lg:max-h-[42%]">
      {symbols.length === 0 ? (
        isLoading ? (
          <Skeleton rows={4} />
        ) : (
          <Empty title="No quotes yet">Symbols appear here when the market service has seen a tick.</Empty>
        )
      ) : (
        <div className="relative min-h-0 overflow-auto">
          <table className="w-full border-collapse whitespace-nowrap tabular-nums">
            <thead className="bg-panel text-muted sticky top-0 text-xs">
              <tr className="h-7 [&>th]:px-2 @md:[&>th]:px-3 [&>th]:font-medium">
                <th className="text-left">Symbol</th>
                <th className="text-right">Last</th>
                <th className="text-right">Change</th>
                <th className="hidden text-right @md:table-cell">Bid</th>
                <th className="hidden text-right @md:table-cell">Ask</th>
                <th className="hidden text-right @lg:table-cell">Spread</th>
                <th className="hidden text-right @xl:table-cell">Volume</th>
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
                    age={quote && (isStale || isOld(quote, now)) ? duration((now - quote.receivedAt) / 1000) : null}
                    isCharted={symbol === charted}
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
  age,
  isCharted,
  onSelect,
}: {
  symbol: string;
  quote: Quote | undefined;
  isStale: boolean;
  /** How old a stale quote is. */
  age: string | null;
  isCharted: boolean;
  onSelect: (symbol: string) => void;
}) {
  const flash = isStale || !quote ? "" : quote.direction > 0 ? "flash-up" : quote.direction < 0 ? "flash-down" : "";
  const muted = isStale ? "text-muted" : "";
  // What is shown as zero has neither arrow nor colour.
  const change = quote?.change === undefined ? undefined : Number(quote.change.toFixed(2));
  const spread = quote?.bid !== undefined && quote.ask !== undefined ? quote.ask - quote.bid : undefined;
  return (
    <tr
      data-testid="quote"
      data-stale={isStale}
      className={`border-line h-7 border-t [&>td]:px-2 @md:[&>td]:px-3 ${isCharted ? "bg-link/8" : "hover:bg-raised/60"} ${muted}`}
    >
      <td>
        <button
          type="button"
          aria-pressed={isCharted}
          title={`Show the price of ${symbol} in the chart`}
          className={`h-6 min-w-6 font-semibold hover:underline ${isStale ? "" : "text-strong"}`}
          onClick={() => onSelect(symbol)}
        >
          {symbol}
        </button>
        {age && <span className="text-warning ml-2 text-xs">{age}</span>}
      </td>
      {/* A new key for a new price starts the fading tint again. */}
      <td key={quote?.last ?? "none"} data-testid="last" className={`text-right font-medium ${isStale ? "" : "text-strong"} ${flash}`}>
        {price(quote?.last)}
      </td>
      <td className={`text-right ${isStale ? "" : tone(change)}`}>
        <span aria-hidden="true" className="mr-1 text-[0.7em]">
          {arrow(change)}
        </span>
        {signedPercent(change)}
      </td>
      <td className="hidden text-right @md:table-cell">{price(quote?.bid)}</td>
      <td className="hidden text-right @md:table-cell">{price(quote?.ask)}</td>
      <td className="text-muted hidden text-right @lg:table-cell">{spread === undefined ? NONE : spread.toFixed(quote!.last < 10 ? 4 : 2)}</td>
      <td className="text-muted hidden text-right @xl:table-cell">{big(quote?.volume)}</td>
    </tr>
  );
});
