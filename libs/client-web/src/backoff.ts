/** When to try again: exponential back-off with full jitter (AWS Architecture Blog, 2015). */

export interface Backoff {
  /** Ceiling of the first delay, ms. */
  readonly firstMs: number;
  /** Largest ceiling, ms. */
  readonly maxMs: number;
}

export const BACKOFF: Backoff = { firstMs: 500, maxMs: 20_000 };

/** Delay before try `attempt` (0, 1, …) in ms: uniform between nothing and a doubling ceiling. */
export function delayMs(attempt: number, random: number, { firstMs, maxMs }: Backoff = BACKOFF): number {
  return random * Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 30));
}
