import type { ConnectionInfo } from "@tapewire/client";
import { describe, expect, it } from "vitest";
import { add, continued, inSight } from "../charts/series.ts";
import type { Point } from "../charts/series.ts";
import { look } from "../layout/ConnectionPill.tsx";
import { merged } from "../sessions/useSessions.ts";
import { ago, duration, moment, price, signed, signedPercent } from "./format.ts";

const INITIAL_INFO: ConnectionInfo = {
  state: "idle", code: null, reason: null, attempt: 0, nextRetryAt: null, transport: null, latencyMs: null, lastEventAt: null, isStale: true, userId: null, clientId: null,
};

describe("figures", () => {
  it.each([
    [1204.5, "+1,204.50"],
    [-412.5, "−412.50"],
    [0, "0.00"],
    [-0.001, "0.00"],
  ])("signed(%d) is %s", (value, text) => expect(signed(value)).toBe(text));

  it("has_more_digits_for_small_prices_and_none_for_unknown_ones", () => {
    expect([price(512.3), price(1.0834), price(undefined)]).toEqual(["512.30", "1.0834", "–"]);
    expect([signedPercent(0.5), signedPercent(-0.004), signedPercent(undefined)]).toEqual(["+0.50 %", "0.00 %", "–"]);
  });

  it.each([
    [5, "5 s"],
    [60, "1 min"],
    [5400, "1 h 30 min"],
    [7200, "2 h"],
    [187_200, "2 d 4 h"],
  ])("%d s is %s", (seconds, text) => expect(duration(seconds)).toBe(text));

  it("tells_ages_and_days", () => {
    expect([ago(1000, 1400), ago(1000, 13_000)]).toEqual(["now", "12 s ago"]);
    const now = new Date(2026, 0, 5, 15).getTime();
    expect(moment(new Date(2026, 0, 5, 14, 30).toISOString(), now)).toBe("14:30:00");
    expect(moment(new Date(2026, 0, 4, 14, 30).toISOString(), now)).toBe("04 Jan 14:30:00");
  });
});

describe("a series", () => {
  it("keeps_time_strictly_increasing_with_the_seconds_last_value", () => {
    const series: Point[] = [];
    for (const [at, value] of [[1000, 1], [1900, 2], [3000, 3], [2000, 9]] as const) add(series, at, value);
    expect(series).toEqual([{ time: 1, value: 2 }, { time: 3, value: 3 }]);
  });

  it("is_continued_without_overlap", () => {
    const point = (time: number, value: number): Point => ({ time, value });
    expect(continued([point(1, 1), point(2, 1)], [point(2, 2), point(3, 2)])).toEqual([point(1, 1), point(2, 2), point(3, 2)]);
    expect(continued([point(1, 1)], [])).toEqual([point(1, 1)]);
  });

  it("has_what_was_recorded_while_nobody_looked", () => {
    const point = (time: number, value: number): Point => ({ time, value });
    const seen = [point(1, 1), point(4, 4)];
    expect(continued([point(1, 0), point(2, 2), point(3, 3)], seen)).toEqual([point(1, 1), point(2, 2), point(3, 3), point(4, 4)]);
  });

  it("is_seen_against_zero_and_against_the_limit_once_half_of_it_is_used", () => {
    expect(inSight({ minValue: -200, maxValue: -100 }, 1000)).toEqual({ minValue: -200, maxValue: 0 });
    expect(inSight({ minValue: -600, maxValue: 50 }, 1000)).toEqual({ minValue: -1000, maxValue: 50 });
    expect(inSight({ minValue: 20, maxValue: 50 }, 1000)).toEqual({ minValue: 0, maxValue: 50 });
  });
});

describe("sessions", () => {
  const told = { userId: "alice", status: "active" } as const;

  it("are_what_the_desk_told_and_what_happened_since_with_running_ones_first", () => {
    const sessions = merged(
      [
        { ...told, sessionId: "old", status: "completed", startedAt: "2026-01-05T10:00:00Z" },
        { ...told, sessionId: "s-17", startedAt: "2026-01-05T09:00:00Z", lossLimit: 1200, reason: null, data: { currentPnL: 1, performanceScore: null } },
      ],
      [{ ...told, sessionId: "s-17", data: { currentPnL: 2 } }],
    );
    expect(sessions.map(({ sessionId }) => sessionId)).toEqual(["s-17", "old"]);
    expect(sessions[0]).toMatchObject({ lossLimit: 1200, data: { currentPnL: 2 } });
    expect(sessions[0]).not.toHaveProperty("reason");
  });
});

describe("the connection", () => {
  it("looks_as_it_is", () => {
    const text = (change: object) => {
      const { text, detail, action } = look({ ...INITIAL_INFO, ...change }, 0);
      return [text, detail, action].filter(Boolean).join(" | ");
    };
    expect(text({ state: "connected", isStale: false, transport: "websocket", latencyMs: 12.4 })).toBe("Live | WebSocket · 12 ms");
    expect(text({ state: "connected", isStale: true })).toBe("Silent | no sign of life");
    expect(text({ state: "reconnecting", reason: "connection lost", nextRetryAt: 3000 })).toBe("Reconnecting | connection lost · next try in 3 s | Retry now");
    expect(text({ state: "failed", reason: "the token is invalid" })).toBe("Disconnected | the token is invalid | Reconnect");
  });
});
