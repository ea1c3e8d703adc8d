/** How old a value is, measured by its own rhythm. */

export interface Freshness {
  /** When the newest value arrived, ms since the epoch. */
  readonly receivedAt: number;
  /** Usual time between two values, ms; null until two have come. */
  readonly intervalMs: number | null;
}

const SMOOTHING = 0.2; // of the exponential average: about the last ten values count
const LEAST_MS = 1000; // values that come many times a second are not stale after a hiccup
const UNKNOWN_MS = 15_000; // a value without a rhythm yet

export function refreshed(before: Freshness | undefined, now: number): Freshness {
  if (!before) return { receivedAt: now, intervalMs: null };
  const gap = now - before.receivedAt;
  const intervalMs = before.intervalMs === null ? gap : before.intervalMs + SMOOTHING * (gap - before.intervalMs);
  return { receivedAt: now, intervalMs };
}

/** Whether the value is older than twice its interval. */
export function isOld({ receivedAt, intervalMs }: Freshness, now: number): boolean {
  return now - receivedAt > (intervalMs === null ? UNKNOWN_MS : 2 * Math.max(LEAST_MS, intervalMs));
}
