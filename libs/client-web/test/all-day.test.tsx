// @vitest-environment happy-dom
/** A page that is left open: what it holds is bounded, and nothing that waits for a person is let go. */
import { act, cleanup, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { TapewireProvider, useAlgorithmDecisions, useRealTimeNotifications, useRealTimeSessions } from "../src/react/index.ts";
import type { NotificationApi, NotificationPage } from "../src/react/index.ts";
import { Scene, alert, pass } from "./scene.ts";

const T0_MS = Date.parse("2026-01-05T14:30:00Z");
const RECOUNT_MS = 2000;

beforeEach(() => {
  vi.useFakeTimers({ now: T0_MS, toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "requestAnimationFrame", "cancelAnimationFrame"] });
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

const go = (ms = 0) => act(() => pass(ms));
const at = (second: number) => new Date(T0_MS + second * 1000).toISOString();
const within =
  (scene: Scene, notifications?: NotificationApi) =>
  ({ children }: { children: ReactNode }) => (
    <TapewireProvider client={scene.client} {...(notifications ? { notifications } : {})}>
      {children}
    </TapewireProvider>
  );

it("begins_history_anew_before_it_holds_too_many_and_keeps_what_is_open", async () => {
  const warning = (second: number) => alert(`w-${second}`, { timestamp: at(second), alertLevel: "warning", ack: undefined });
  const told: ReturnType<typeof warning>[] = [];
  const pageOf = (from: number): NotificationPage => {
    const items = told.slice(Math.max(0, from - 50), from).reverse();
    const next = Math.max(0, from - 50);
    return {
      items: items.map((message) => ({ id: message.id, level: "warning", timestamp: message.timestamp, ack: null, isRead: false, message: message as never })),
      nextCursor: next > 0 ? String(next) : null,
      unreadCount: told.length,
    };
  };
  const zero = async () => 0;
  const scene = new Scene();
  const api = { list: async (cursor: string | null) => pageOf(cursor === null ? told.length : Number(cursor)), markRead: zero, markAllRead: zero };
  const { result } = renderHook(() => useRealTimeNotifications(), { wrapper: within(scene, api) });
  await go(17);
  scene.server.publish(alert("open", { timestamp: at(0) }));
  for (let second = 1; second <= 620; second += 1) {
    told.push(warning(second));
    scene.server.publish(told.at(-1)!);
  }
  await go(RECOUNT_MS + 17);
  await go(17);
  const ids = () => result.current.items.map(({ id }) => id);
  const newest = (count: number) => Array.from({ length: count }, (_, index) => `w-${620 - index}`);
  expect(ids()).toEqual([...newest(50), "open"]);
  expect(result.current).toMatchObject({ unreadCount: 620, hasMore: true });
  expect(scene.server.unacked).toEqual(["open"]);

  await act(() => result.current.fetchMore()); // nothing is left out between what stays and what is fetched
  await go(17);
  expect(ids()).toEqual([...newest(100), "open"]);
});

it("lists_every_running_session_and_the_last_hundred_that_ended", async () => {
  const scene = new Scene();
  const { result } = renderHook(() => useRealTimeSessions(), { wrapper: within(scene) });
  await go();
  const publish = (type: string, second: number, fields: object) =>
    scene.server.publish({ type, id: `${type}-${second}`, timestamp: at(second), userId: "alice", sessionId: `s-${second}`, ...fields }, "sessions:alice");
  for (let second = 0; second < 150; second += 1) {
    publish("session_started", second, { algorithmId: "m" });
    if (second > 2) publish("session_completed", second, { status: "completed" });
  }
  await go(17);
  const running = result.current.filter(({ status }) => status === "active").map(({ sessionId }) => sessionId);
  expect(running).toEqual(["s-2", "s-1", "s-0"]);
  expect(result.current).toHaveLength(103);
  expect(result.current[0]?.sessionId).toBe("s-149");
});

it("keeps_the_newest_decisions", async () => {
  const scene = new Scene();
  const { result } = renderHook(() => useAlgorithmDecisions("s-17"), { wrapper: within(scene) });
  await go();
  for (let second = 0; second < 700; second += 1) {
    scene.server.publish({ type: "algorithm_decision", id: `d-${second}`, timestamp: at(second), userId: "alice", sessionId: "s-17", algorithmId: "m", decision: "buy", reasoning: "up", confidence: 0.8 });
  }
  await go(17);
  expect(result.current).toHaveLength(500);
  expect(result.current[0]?.id).toBe("d-699");
});
