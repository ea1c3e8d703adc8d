/** The drawing itself, on TradingView's Lightweight Charts (Apache-2.0), whose attribution stays visible. */

import type { AlgorithmDecision } from "@tapewire/client";
import {
  BaselineSeries,
  ColorType,
  LineSeries,
  LineStyle,
  createChart,
  createSeriesMarkers,
} from "lightweight-charts";
import type { IChartApi, ISeriesApi, ISeriesMarkersPluginApi, SeriesMarker, Time, UTCTimestamp } from "lightweight-charts";
import { useEffect, useRef } from "react";
import { price as priced, signed, time as clock } from "../ui/format.ts";
import type { History } from "./history.ts";
import { continued } from "./series.ts";
import type { Point } from "./series.ts";

interface Props {
  readonly sessionId: string | null;
  readonly lossLimit: number | undefined;
  readonly symbol: string | null;
  /** Prices of before this page was opened. */
  readonly earlier: readonly Point[] | undefined;
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
export function DeskChart({ sessionId, lossLimit, symbol, earlier, history, decisions }: Props) {
  const container = useRef<HTMLDivElement>(null);
  const drawing = useRef<Drawing | null>(null);

  useEffect(() => {
    const drawn = draw(container.current!);
    drawing.current = drawn;
    drawn.pnl.setData(data(history.of(`pnl:${sessionId}`)));
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
    drawing.current?.price.setData(data(continued(earlier ?? [], history.of(`price:${symbol}`))));
  }, [earlier, history, symbol]);

  useEffect(() => {
    const pnl = drawing.current?.pnl;
    if (!pnl || !lossLimit) return;
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

function draw(container: HTMLElement): Drawing {
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
    timeScale: { borderVisible: false, timeVisible: true, secondsVisible: true, rightOffset: 6, tickMarkFormatter: local },
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
  const price = chart.addSeries(LineSeries, { color: colour("--link"), lineWidth: 2, priceLineVisible: false, priceFormat: { type: "custom", formatter: priced, minMove: 0.0001 } }, 1);
  const [upper, lower] = chart.panes();
  upper?.setStretchFactor(3);
  lower?.setStretchFactor(2);
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
