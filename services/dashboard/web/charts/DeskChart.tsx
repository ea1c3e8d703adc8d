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
import { useEffect, useRef } from "react";
import { price as priced, signed, time as clock } from "../ui/format.ts";
import type { History } from "./history.ts";
import { continued } from "./series.ts";
import type { Point } from "./series.ts";

interface Props {
  readonly sessionId: string | null;
  readonly lossLimit: number | undefined;
  readonly symbol: string | null;
  /** P&L and prices that this page has not seen: of before it was opened, and while it was offline. */
  readonly recordedPnl: readonly Point[] | undefined;
  readonly recordedPrices: readonly Point[] | undefined;
  readonly history: History;
  readonly decisions: readonly AlgorithmDecision[];
}

interface Drawing {
  readonly chart: IChartApi;
  readonly pnl: ISeriesApi<"Baseline">;
  readonly price: ISeriesApi<"Line">;
  readonly markers: ISeriesMarkersPluginApi<Time>;
}

const data = (points: readonly Point[]) => points.map(({ time, value }) => ({ time: time as UTCTimestamp, value }));

/** Mounted anew for another session, symbol or theme. */
export function DeskChart({ sessionId, lossLimit, symbol, recordedPnl, recordedPrices, history, decisions }: Props) {
  const container = useRef<HTMLDivElement>(null);
  const drawing = useRef<Drawing | null>(null);

  useEffect(() => {
    const drawn = draw(container.current!, symbol);
    drawing.current = drawn;
    const stop = history.onPoint((key, { time, value }) => {
      const series = key === `pnl:${sessionId}` ? drawn.pnl : key === `price:${symbol}` ? drawn.price : null;
      series?.update({ time: time as UTCTimestamp, value });
    });
    return () => {
      stop();
      drawing.current = null;
      drawn.chart.remove();
    };
  }, [history, sessionId, symbol]);

  useEffect(() => {
    drawing.current?.pnl.setData(data(continued(recordedPnl ?? [], history.of(`pnl:${sessionId}`))));
  }, [recordedPnl, history, sessionId, symbol]);

  useEffect(() => {
    drawing.current?.price.setData(data(continued(recordedPrices ?? [], history.of(`price:${symbol}`))));
  }, [recordedPrices, history, sessionId, symbol]);

  useEffect(() => {
    const pnl = drawing.current?.pnl;
    if (!pnl || !lossLimit) return;
    pnl.applyOptions({ autoscaleInfoProvider: (scaled: Scaled) => withLimit(scaled(), lossLimit) });
    const style = getComputedStyle(document.documentElement);
    const lines = [
      { at: 1, colour: "--critical", title: "loss limit", lineStyle: LineStyle.Solid },
      { at: 0.9, colour: "--critical", title: "90 %", lineStyle: LineStyle.Dashed },
      { at: 0.75, colour: "--warning", title: "75 %", lineStyle: LineStyle.Dashed },
    ].map(({ at, colour, title, lineStyle }) =>
      pnl.createPriceLine({
        price: -lossLimit * at,
        color: style.getPropertyValue(colour),
        lineWidth: 1,
        lineStyle,
        axisLabelVisible: at === 1,
        title,
      }),
    );
    return () => {
      if (drawing.current?.pnl === pnl) lines.forEach((line) => pnl.removePriceLine(line));
    };
  }, [lossLimit, history, sessionId, symbol]);

  useEffect(() => {
    const style = getComputedStyle(document.documentElement);
    const marks = decisions
      .filter(({ decision }) => decision !== "hold")
      .map((decision) => marker(decision, style))
      .sort((a, b) => Number(a.time) - Number(b.time));
    drawing.current?.markers.setMarkers(marks);
  }, [decisions, history, sessionId, symbol]);

  return (
    <div className="relative min-h-0 flex-1">
      <div ref={container} className="absolute inset-0" data-testid="chart" />
      <p className="sr-only">
        Chart of profit and loss{sessionId ? ` of session ${sessionId}` : ""}
        {symbol ? ` above the price of ${symbol}` : ""}. Its newest values are in the session's card and in the quotes.
      </p>
    </div>
  );
}

type Scaled = () => AutoscaleInfo | null;

/** A result is seen against zero, and against the limit as soon as half of it is used. */
function withLimit(info: AutoscaleInfo | null, lossLimit: number): AutoscaleInfo | null {
  if (!info?.priceRange) return info;
  const { minValue, maxValue } = info.priceRange;
  const least = minValue < -lossLimit / 2 ? Math.min(minValue, -lossLimit) : minValue;
  return { ...info, priceRange: { minValue: Math.min(least, 0), maxValue: Math.max(maxValue, 0) } };
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
  return { chart, pnl, price, markers: createSeriesMarkers(price, []) };
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
