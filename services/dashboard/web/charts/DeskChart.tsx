/** The drawing itself, on TradingView's Lightweight Charts (Apache-2.0), whose attribution stays visible. */

import type { AlgorithmDecision } from "@tapewire/client";
import {
  BaselineSeries,
  ColorType,
  LineSeries,
  LineStyle,
  createChart,
  createSeriesMarkers,
  createTextWatermark,
} from "lightweight-charts";
import type { AutoscaleInfo, IChartApi, ISeriesApi, ISeriesMarkersPluginApi, SeriesMarker, Time, UTCTimestamp } from "lightweight-charts";
import { useEffect, useRef, useState } from "react";
import { price as priced, signed, time as clock } from "../ui/format.ts";
import { PnlLine } from "./PnlLine.tsx";
import type { Prices } from "./prices.ts";
import { continued, inSight } from "./series.ts";
import type { Point } from "./series.ts";

interface Props {
  readonly sessionId: string | null;
  readonly lossLimit: number | undefined;
  readonly symbol: string | null;
  /** Prices that this page has not seen: of before it was opened, and while it was offline. */
  readonly recorded: readonly Point[] | undefined;
  readonly prices: Prices;
  readonly decisions: readonly AlgorithmDecision[];
}

interface Drawing {
  readonly chart: IChartApi;
  readonly pnl: ISeriesApi<"Baseline">;
  readonly price: ISeriesApi<"Line">;
  readonly markers: ISeriesMarkersPluginApi<Time>;
}

const data = (points: readonly Point[]) => points.map(({ time, value }) => ({ time: time as UTCTimestamp, value }));

const LIMITS = [
  { at: 1, colour: "--critical", title: "loss limit", lineStyle: LineStyle.Solid },
  { at: 0.9, colour: "--critical", title: "90 %", lineStyle: LineStyle.Dashed },
  { at: 0.75, colour: "--warning", title: "75 %", lineStyle: LineStyle.Dashed },
] as const;

/** Mounted anew for another session, symbol or theme. */
export function DeskChart({ sessionId, lossLimit, symbol, recorded, prices, decisions }: Props) {
  const container = useRef<HTMLDivElement>(null);
  const [drawing, setDrawing] = useState<Drawing | null>(null);

  useEffect(() => {
    if (!drawing || symbol === null) return;
    drawing.price.setData(data(continued(recorded ?? [], prices.of(symbol))));
    return prices.onPoint((of, { time, value }) => {
      if (of === symbol) drawing.price.update({ time: time as UTCTimestamp, value });
    });
  }, [drawing, recorded, prices, symbol]);

  useEffect(() => {
    if (!drawing || !lossLimit) return;
    const { pnl } = drawing;
    pnl.applyOptions({ autoscaleInfoProvider: (scaled: Scaled) => withLimit(scaled(), lossLimit) });
    const style = getComputedStyle(document.documentElement);
    for (const { at, colour, title, lineStyle } of LIMITS) {
      pnl.createPriceLine({
        price: -lossLimit * at,
        color: style.getPropertyValue(colour),
        lineWidth: 1,
        lineStyle,
        axisLabelVisible: at === 1,
        title,
      });
    }
    return () => {
      for (const line of pnl.priceLines()) pnl.removePriceLine(line);
    };
  }, [drawing, lossLimit]);

  useEffect(() => {
    if (!drawing) return;
    const style = getComputedStyle(document.documentElement);
    const marks = decisions
      .filter(({ decision }) => decision !== "hold")
      .map((decision) => marker(decision, style))
      .sort((a, b) => Number(a.time) - Number(b.time));
    drawing.markers.setMarkers(marks);
  }, [drawing, decisions]);

  // Last, so that the others have let go of the chart before it is removed.
  useEffect(() => {
    const drawn = draw(container.current!, symbol);
    setDrawing(drawn);
    return () => {
      setDrawing(null);
      drawn.chart.remove();
    };
  }, [symbol]);

  return (
    <div className="relative min-h-0 flex-1">
      {drawing && sessionId !== null && <PnlLine sessionId={sessionId} series={drawing.pnl} />}
      <div ref={container} className="absolute inset-0" data-testid="chart" />
      <p className="sr-only">
        Chart of profit and loss{sessionId ? ` of session ${sessionId}` : ""}
        {symbol ? ` above the price of ${symbol}` : ""}. Its newest values are in the session's card and in the quotes.
      </p>
    </div>
  );
}

type Scaled = () => AutoscaleInfo | null;

function withLimit(info: AutoscaleInfo | null, lossLimit: number): AutoscaleInfo | null {
  return info?.priceRange ? { ...info, priceRange: inSight(info.priceRange, lossLimit) } : info;
}

function draw(container: HTMLElement, symbol: string | null): Drawing {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const local = (at: Time) => clock(Number(at) * 1000);
  const chart = createChart(container, {
    autoSize: true,
    layout: {
      background: { type: ColorType.Solid, color: colour("--panel") },
      textColor: colour("--muted"),
      fontFamily: getComputedStyle(container).fontFamily,
      fontSize: 11,
      attributionLogo: true,
      panes: { separatorColor: colour("--line"), separatorHoverColor: colour("--line"), enableResize: true },
    },
    grid: { vertLines: { color: colour("--line") }, horzLines: { color: colour("--line") } },
    rightPriceScale: { borderVisible: false, minimumWidth: 72 },
    timeScale: { borderVisible: false, timeVisible: true, secondsVisible: true, rightOffset: 6, barSpacing: 3, tickMarkFormatter: local },
    localization: { timeFormatter: local },
    crosshair: { vertLine: { labelBackgroundColor: "#3a3f4a" }, horzLine: { labelBackgroundColor: "#3a3f4a" } },
  });
  const pnl = chart.addSeries(
    BaselineSeries,
    {
      baseValue: { type: "price", price: 0 },
      topLineColor: colour("--up"),
      topFillColor1: mix(colour("--up"), 0.28),
      topFillColor2: mix(colour("--up"), 0.03),
      bottomLineColor: colour("--down"),
      bottomFillColor1: mix(colour("--down"), 0.03),
      bottomFillColor2: mix(colour("--down"), 0.28),
      lineWidth: 2,
      priceLineVisible: false,
      priceFormat: { type: "custom", formatter: signed, minMove: 0.01 },
    },
    0,
  );
  const priceFormat = { type: "custom", formatter: priced, minMove: 0.0001 } as const;
  const price = chart.addSeries(LineSeries, { color: colour("--link"), lineWidth: 2, priceLineVisible: false, priceFormat }, 1);
  price.priceScale().applyOptions({ scaleMargins: { top: 0.2, bottom: 0.3 } }); // above the attribution
  const [upper, lower] = chart.panes();
  upper?.setStretchFactor(3);
  lower?.setStretchFactor(2);
  for (const [pane, text] of [[upper, "P&L"], [lower, symbol]] as const) {
    if (!pane || !text) continue;
    createTextWatermark(pane, { horzAlign: "left", vertAlign: "top", lines: [{ text, color: colour("--muted"), fontSize: 11 }] });
  }
  // Room for the marks is in the margins: scaled in, they would flatten the line between them.
  return { chart, pnl, price, markers: createSeriesMarkers(price, [], { autoScale: false }) };
}

function mix(hex: string, alpha: number): string {
  const [r, g, b] = [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
  return `rgba(${r}, ${g}, ${b}, ${alpha})`;
}

function marker({ timestamp, decision }: AlgorithmDecision, style: CSSStyleDeclaration): SeriesMarker<Time> {
  const buys = decision === "buy";
  const colour = decision === "close_position" ? "--warning" : buys ? "--up" : "--down";
  return {
    time: Math.floor(Date.parse(timestamp) / 1000) as UTCTimestamp,
    position: buys ? "belowBar" : "aboveBar",
    shape: decision === "close_position" ? "circle" : buys ? "arrowUp" : "arrowDown",
    color: style.getPropertyValue(colour).trim(),
    size: 1,
  };
}
