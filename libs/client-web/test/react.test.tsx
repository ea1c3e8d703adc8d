// @vitest-environment happy-dom
import { act, cleanup, render, renderHook, screen } from "@testing-library/react";
import { StrictMode, useState } from "react";
import type { ReactNode } from "react";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  TapewireProvider,
  useAlgorithmDecisions,
  useRealTimeEvent,
  useRealTimeMarketData,
  useRealTimeNotifications,
  useRealTimeSessionStatus,
  useRealTimeSessions,
  useWebSocketConnection,
} from "../src/react/index.ts";
import type { NotificationApi, NotificationPage } from "../src/react/index.ts";
import { notificationOf } from "../src/react/index.ts";
import { FakeServer } from "../src/testing/index.ts";
import { Scene, alert, pass, trade } from "./scene.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "requestAnimationFrame", "cancelAnimationFrame"] });
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

function within(scene: Scene, api?: NotificationApi) {
  return ({ children }: { children: ReactNode }) => (
    <StrictMode>
      <TapewireProvider client={scene.client} {...(api ? { notifications: api } : {})}>
        {children}
      </TapewireProvider>
    </StrictMode>
  );
}

const go = (ms = 0) => act(() => pass(ms));
const tick = (symbol: string, last: number) => ({ type: "market_data", id: `${symbol}-${last}`, timestamp: "2026-01-05T14:30:00Z", symbol, last });
const status = (sessionId: string, currentPnL: number, fields: object = {}) => ({
  type: "session_status", id: `${sessionId}-${currentPnL}`, timestamp: "2026-01-05T14:30:00Z", userId: "alice", sessionId, status: "active", data: { currentPnL }, ...fields,
});
const decision = (id: string, second: number, sessionId = "s-17") => ({
  type: "algorithm_decision", id, timestamp: `2026-01-05T14:30:${String(second).padStart(2, "0")}Z`, userId: "alice", sessionId, algorithmId: "momentum", decision: "buy", reasoning: "up", confidence: 0.8,
});

describe("TapewireProvider", () => {
  it("connects_once_under_StrictMode_and_disconnects_when_it_is_gone", async () => {
    const scene = new Scene();
    const { unmount } = renderHook(() => useWebSocketConnection(), { wrapper: within(scene) });
    await go();
    expect(scene.server.connections).toHaveLength(1);
    expect(scene.client.info.state).toBe("connected");
    unmount();
    await go();
    expect(scene.client.info.state).toBe("idle");
  });

  it("renders_on_a_server_without_connecting", () => {
    const scene = new Scene();
    function Page() {
      const { state } = useWebSocketConnection();
      const quotes = useRealTimeMarketData(["SPY"]);
      const session = useRealTimeSessionStatus("s-17");
      const sessions = useRealTimeSessions();
      const decisions = useAlgorithmDecisions();
      const { items } = useRealTimeNotifications();
      return <p>{[state, quotes.SPY?.last ?? "–", session?.status ?? "–", sessions.length, decisions.length, items.length].join(" ")}</p>;
    }
    const html = renderToString(<TapewireProvider client={scene.client}><Page /></TapewireProvider>);
    expect(html).toBe("<p>idle – – 0 0 0</p>");
    expect(scene.server.connections).toHaveLength(0);
  });

  it("is_needed_by_the_hooks", () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    expect(() => renderHook(() => useWebSocketConnection())).toThrow("<TapewireProvider>");
    vi.restoreAllMocks();
  });
});

describe("useRealTimeMarketData", () => {
  it("renders_once_a_frame_whatever_comes_and_shows_the_newest", async () => {
    const scene = new Scene();
    let renders = 0;
    const { result } = renderHook(
      () => {
        renders += 1;
        return useRealTimeMarketData(["SPY"]);
      },
      { wrapper: within(scene) },
    );
    await go();
    const before = renders;
    await act(async () => {
      for (let index = 1; index <= 10_000; index += 1) scene.server.publish(tick("SPY", 500 + index / 100), "market:SPY");
      await pass(0);
    });
    await go(17);
    expect(result.current.SPY).toMatchObject({ last: 600, direction: 1 });
    expect(renders - before).toBeLessThanOrEqual(2); // one commit; StrictMode renders it twice
  });

  it("does_not_render_for_other_symbols", async () => {
    const scene = new Scene();
    let renders = 0;
    function Row({ symbol }: { symbol: string }) {
      if (symbol === "SPY") renders += 1;
      return <p>{useRealTimeMarketData([symbol])[symbol]?.last ?? "–"}</p>;
    }
    render(<><Row symbol="SPY" /><Row symbol="QQQ" /></>, { wrapper: within(scene) });
    await go();
    const before = renders;
    scene.server.publish(tick("QQQ", 400));
    await go(17);
    expect(renders).toBe(before);
    expect(screen.getByText("400")).toBeTruthy();
  });

  it("shares_one_subscription_between_components_and_keeps_it_for_two_seconds", async () => {
    const scene = new Scene();
    const first = renderHook(() => useRealTimeMarketData(["SPY"]), { wrapper: within(scene) });
    const second = renderHook(() => useRealTimeMarketData(["SPY", "QQQ"]), { wrapper: within(scene) });
    await go();
    expect([...scene.server.connection.channels].sort()).toEqual(["market:QQQ", "market:SPY"]);
    second.unmount();
    await go(1500);
    expect(scene.server.connection.channels.has("market:QQQ")).toBe(true);
    await go(1000);
    expect([...scene.server.connection.channels]).toEqual(["market:SPY"]);
    first.unmount();
  });

  it("shows_what_is_known_already_to_a_component_that_comes_later", async () => {
    const scene = new Scene();
    renderHook(() => useRealTimeMarketData(["SPY"]), { wrapper: within(scene) });
    await go();
    scene.server.publish(tick("SPY", 500));
    await go(17);
    const late = renderHook(() => useRealTimeMarketData(["SPY", "QQQ"]), { wrapper: within(scene) });
    expect(late.result.current.SPY?.last).toBe(500);
  });
});

describe("useRealTimeSessionStatus", () => {
  it("follows_one_session_from_its_snapshot_to_its_end", async () => {
    const scene = new Scene({}, { snapshot: (channel) => (channel === "session:s-17" ? [status("s-17", -100)] : []) });
    const { result } = renderHook(() => useRealTimeSessionStatus("s-17"), { wrapper: within(scene) });
    expect(result.current).toBeNull();
    await go(17);
    expect(result.current).toMatchObject({ status: "active", data: { currentPnL: -100 } });
    scene.server.publish(status("s-17", -412.5));
    scene.server.publish(status("s-18", 7));
    await go(17);
    expect(result.current?.data?.currentPnL).toBe(-412.5);
    scene.server.publish({ ...status("s-17", 0), type: "session_completed", id: "end", status: "completed" });
    scene.server.publish(status("s-17", -400));
    await go(17);
    expect(result.current).toMatchObject({ status: "completed", data: { currentPnL: -400 } });
  });

  it("is_not_set_back_by_a_snapshot_that_something_newer_overtook", async () => {
    const scene = new Scene();
    const { result } = renderHook(() => useRealTimeSessionStatus("s-17"), { wrapper: within(scene) });
    await go(17);
    scene.server.publish(status("s-17", 120, { timestamp: "2026-01-05T14:30:02Z" }));
    scene.server.publish(status("s-17", -412.5, { timestamp: "2026-01-05T14:30:01Z", snapshot: true }));
    await go(17);
    expect(result.current?.data?.currentPnL).toBe(120);
    scene.server.publish(status("s-17", 130, { timestamp: "2026-01-05T14:30:03Z", snapshot: true }));
    await go(17);
    expect(result.current?.data?.currentPnL).toBe(130);
  });

  it("lists_a_users_sessions_once_the_user_is_known", async () => {
    const scene = new Scene();
    const { result } = renderHook(() => useRealTimeSessions(), { wrapper: within(scene) });
    await go();
    expect(scene.server.connection.channels.has("sessions:alice")).toBe(true);
    scene.server.publish(status("s-17", 1), "sessions:alice");
    scene.server.publish(status("s-18", 2), "sessions:alice");
    await go(17);
    expect(result.current.map(({ sessionId }) => sessionId).sort()).toEqual(["s-17", "s-18"]);
  });
});

describe("useAlgorithmDecisions", () => {
  it("puts_the_newest_first_also_when_a_snapshot_brings_older_ones_later", async () => {
    const scene = new Scene();
    const { result } = renderHook(() => useAlgorithmDecisions("s-17"), { wrapper: within(scene) });
    await go();
    scene.server.publish(decision("d-2", 2));
    scene.server.publish(decision("d-9", 9, "s-18"));
    scene.server.publish({ ...decision("d-1", 1), snapshot: true });
    scene.server.publish({ ...decision("d-2", 2), snapshot: true });
    await go(17);
    expect(result.current.map(({ id }) => id)).toEqual(["d-2", "d-1"]);
  });
});

describe("useRealTimeEvent", () => {
  it("gets_every_event_of_a_burst_once_and_no_snapshot", async () => {
    const scene = new Scene();
    const seen: string[] = [];
    renderHook(
      () => {
        const [, setCount] = useState(0);
        useRealTimeEvent("trade_executed", ({ id }) => {
          seen.push(id);
          setCount((count) => count + 1);
        });
      },
      { wrapper: within(scene) },
    );
    await go();
    const ids = Array.from({ length: 10_000 }, (_, index) => `t-${index}`);
    await act(async () => {
      for (const id of ids) scene.server.publish(trade(id));
      scene.server.publish(trade("old", { snapshot: true }));
      await pass(0);
    });
    expect(seen).toEqual(ids);
  });

  it("calls_the_newest_handler", async () => {
    const scene = new Scene();
    const seen: string[] = [];
    const { rerender } = renderHook(({ name }) => useRealTimeEvent("trade_executed", () => void seen.push(name)), {
      wrapper: within(scene),
      initialProps: { name: "first" },
    });
    await go();
    rerender({ name: "second" });
    scene.server.publish(trade("t-1"));
    await go();
    expect(seen).toEqual(["second"]);
  });

  it("acks_an_alert_by_returning_when_nobody_else_is_in_charge", async () => {
    const scene = new Scene();
    renderHook(() => useRealTimeEvent("risk_alert", () => {}), { wrapper: within(scene) });
    await go();
    scene.server.publish(alert("a-1"));
    await go();
    expect(scene.server.unacked).toEqual([]);
  });
});

describe("useRealTimeNotifications", () => {
  it("keeps_an_alert_open_until_a_person_acknowledges_it", async () => {
    const scene = new Scene();
    const { result } = renderHook(
      () => {
        useRealTimeEvent("risk_alert", () => {});
        return useRealTimeNotifications();
      },
      { wrapper: within(scene) },
    );
    await go();
    scene.server.publish(alert("a-1"));
    await go(17);
    expect(result.current).toMatchObject({ unreadCount: 1, items: [{ id: "a-1", ack: "open", level: "critical", isRead: false }] });
    expect(scene.server.unacked).toEqual(["a-1"]);
    await act(() => result.current.acknowledge("a-1"));
    await go(17);
    expect(result.current).toMatchObject({ unreadCount: 0, items: [{ ack: "acknowledged", isRead: true }] });
    expect(scene.server.unacked).toEqual([]);
  });

  it("hears_of_an_acknowledgement_on_another_device", async () => {
    const scene = new Scene();
    const { result } = renderHook(() => useRealTimeNotifications(), { wrapper: within(scene) });
    await go();
    scene.server.publish(alert("a-1"));
    await go(17);
    scene.server.ackElsewhere("a-1");
    await go(17);
    expect(result.current.items).toMatchObject([{ ack: "acknowledged" }]);
  });

  it("clears_everything_but_open_alerts", async () => {
    const scene = new Scene();
    const { result } = renderHook(() => useRealTimeNotifications(), { wrapper: within(scene) });
    await go();
    scene.server.publish(alert("a-1"));
    scene.server.publish(alert("w-1", { alertLevel: "warning", ack: undefined }));
    await go(17);
    await act(() => result.current.clearAll());
    await go(17);
    expect(result.current.items.map(({ id }) => id)).toEqual(["a-1"]);
    expect(scene.server.unacked).toEqual(["a-1"]);
  });

  it("pages_through_history_and_takes_the_servers_word_on_the_count", async () => {
    const old = (id: string) => ({ ...notificationOf(alert(id, { ack: undefined, alertLevel: "warning" }) as never)!, isRead: true });
    const pages: Record<string, NotificationPage> = {
      "": { items: [old("h-2")], nextCursor: "c", unreadCount: 7 },
      c: { items: [old("h-1")], nextCursor: null, unreadCount: 7 },
    };
    const calls: string[] = [];
    const api: NotificationApi = {
      list: async (cursor) => pages[cursor ?? ""]!,
      markRead: async (ids) => (calls.push(`read ${ids.join()}`), 6),
      markAllRead: async () => (calls.push("read all"), 0),
      archive: async (ids, all) => (calls.push(`archive ${all ? "all and " : ""}${ids.join()}`), 0),
    };
    const scene = new Scene();
    const { result } = renderHook(() => useRealTimeNotifications(), { wrapper: within(scene, api) });
    await go(17);
    expect(result.current).toMatchObject({ unreadCount: 7, hasMore: true, items: [{ id: "h-2" }] });
    await act(() => result.current.fetchMore());
    await go(17);
    expect(result.current).toMatchObject({ hasMore: false, items: [{ id: "h-2" }, { id: "h-1" }] });
    scene.server.publish(alert("h-0", { redelivered: true, timestamp: "2026-01-05T14:00:00Z" }));
    await go(17);
    expect(result.current.unreadCount).toBe(7); // it waited for us: counted already
    scene.server.publish(alert("w-1", { alertLevel: "warning", ack: undefined, timestamp: "2026-01-05T14:30:00.5Z" }));
    await go(17);
    expect(result.current.unreadCount).toBe(8);
    await go(2000);
    expect(result.current.unreadCount).toBe(7); // the server's word
    await act(() => result.current.markAsRead("w-1", "h-1"));
    await go(17);
    expect(result.current.unreadCount).toBe(6);
    scene.server.publish({ type: "notification_read", id: "r", timestamp: "2026-01-05T14:31:00Z", userId: "alice", all: true, unreadCount: 0 });
    await go(17);
    expect(result.current.unreadCount).toBe(0);
    await act(() => result.current.clearAll());
    expect(calls).toEqual(["read w-1", "archive all and "]);
    await go(17);
    expect(result.current.items.map(({ id }) => id)).toEqual(["h-0"]);
  });

  it("keeps_what_it_has_when_history_cannot_be_had", async () => {
    const fail = () => Promise.reject(new Error("desk is away"));
    const scene = new Scene();
    const api: NotificationApi = { list: fail, markRead: fail, markAllRead: fail, archive: fail };
    const { result } = renderHook(() => useRealTimeNotifications(), { wrapper: within(scene, api) });
    await go();
    scene.server.publish(alert("a-1"));
    await go(17);
    expect(result.current.error?.message).toBe("desk is away");
    expect(result.current.items).toHaveLength(1);
  });
});

describe("useWebSocketConnection", () => {
  it("renders_for_changes_and_not_for_messages", async () => {
    const server = new FakeServer();
    const scene = new Scene({}, server);
    let renders = 0;
    const { result } = renderHook(
      () => {
        renders += 1;
        return useWebSocketConnection();
      },
      { wrapper: within(scene) },
    );
    await go();
    expect(result.current).toMatchObject({ state: "connected", transport: "websocket", isStale: false });
    const before = renders;
    for (let index = 0; index < 1000; index += 1) server.publish(tick("SPY", index + 1));
    await go();
    expect(renders - before).toBeLessThanOrEqual(2); // lastEventAt, once a second
    server.stop();
    await go();
    expect(result.current).toMatchObject({ state: "reconnecting", attempt: 1, isStale: true });
  });
});
