/** Points for a chart: one a second, time strictly increasing. Pure. */

export interface Point {
  /** Seconds since the epoch. */
  readonly time: number;
  readonly value: number;
}

const KEPT = 4 * 3600; // seconds: a morning; older points leave at the left

/** Adds a value to a series in place; the second's last value stands. Returns the point, null when it is too old. */
export function add(series: Point[], atMs: number, value: number): Point | null {
  const time = Math.floor(atMs / 1000);
  const last = series.at(-1);
  if (last && time < last.time) return null;
  const point = { time, value };
  if (last?.time === time) series[series.length - 1] = point;
  else series.push(point);
  if (series.length > KEPT) series.shift();
  return point;
}

/** Two series as one: what was recorded, and what was seen since, which wins where both know a second. */
export function continued(recorded: readonly Point[], seen: readonly Point[]): Point[] {
  const byTime = new Map([...recorded, ...seen].map((point) => [point.time, point]));
  return [...byTime.values()].sort((a, b) => a.time - b.time);
}

/** The range of P&L that a chart shows: with zero, and with the limit as soon as half of it is used. */
export function inSight({ minValue, maxValue }: { minValue: number; maxValue: number }, lossLimit: number) {
  const least = minValue < -lossLimit / 2 ? Math.min(minValue, -lossLimit) : minValue;
  return { minValue: Math.min(least, 0), maxValue: Math.max(maxValue, 0) };
}
