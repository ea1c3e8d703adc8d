// @vitest-environment happy-dom
import { act, cleanup, renderHook } from "@testing-library/react";
import { StrictMode } from "react";
import type { ReactNode } from "react";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  TapewireProvider,
  deskApi,
  useAccount,
  useAlgorithmDecisions,
  useNotificationPreferences,
  useRealTimeNotifications,
  useSessionHistory,
} from "../src/react/index.ts";
import type { AccountDay, DeskApi, NotificationPage, Preferences } from "../src/react/index.ts";
import { accounted, dayPnLOf, equityOf } from "../src/react/stores/account.ts";
import { carriedOn } from "../src/react/stores/history.ts";
import type { PnlHistory } from "../src/react/stores/history.ts";
import { Scene, alert, pass } from "./scene.ts";

const T0 = "2026-01-05T14:30:00Z";
const T0_S = Date.parse(T0) / 1000;

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse(T0), toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "requestAnimationFrame", "cancelAnimationFrame"] });
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const DEFAULT: Preferences = {
  minimumLevels: { risk_alert: "warning", volatility_alert: "warning", system_notification: "info" },
  muted: [],
  quietHours: { enabled: false, start: "22:00:00", end: "07:00:00", timeZone: "UTC" },
  emergency: true,
  version: 1,
};

/** A desk of a test: answers at once with what it is given. */
function fakeDesk(parts: Partial<DeskApi> = {}): DeskApi {
  const none = () => Promise.reject(new Error("not asked for in this test"));
  return {
    notifications: { list: none, markRead: none, markAllRead: none, archive: none },
    preferences: none,
    changePreferences: none,
    decisions: none,
    pnl: none,
    account: none,
    ...parts,
  };
}

function within(scene: Scene, desk: DeskApi) {
  return ({ children }: { children: ReactNode }) => (
    <StrictMode>
      <TapewireProvider client={scene.client} desk={desk}>
        {children}
      </TapewireProvider>
    </StrictMode>
  );
}

const go = (ms = 0) => act(() => pass(ms));
const at = (second: number) => new Date((T0_S + second) * 1000).toISOString();
const status = (sessionId: string, second: number, currentPnL: number, more: object = {}) => ({
  type: "session_status", id: `${sessionId}-${second}`, timestamp: at(second), userId: "alice", sessionId, status: "active", data: { currentPnL, ...more },
});
const decision = (id: string, second: number, sessionId = "s-17") => ({
  type: "algorithm_decision" as const, id, timestamp: at(second), userId: "alice", sessionId, algorithmId: "m", decision: "buy" as const, reasoning: "up", confidence: 0.8,
});
const changed = (preferences: Partial<Preferences>, userId = "alice") => ({
  type: "preferences_changed", id: "p", timestamp: T0, userId, preferences: { ...DEFAULT, ...preferences },
});

describe("useNotificationPreferences", () => {
  it("shows_what_is_kept_saves_a_part_and_follows_other_devices", async () => {
    const changes: unknown[] = [];
    let kept = DEFAULT;
    const desk = fakeDesk({
      preferences: async () => kept,
      changePreferences: async (change) => {
        changes.push(change);
        return (kept = { ...kept, marketDataRate: 2, version: kept.version + 1 });
      },
    });
    const scene = new Scene();
    const { result } = renderHook(() => useNotificationPreferences(), { wrapper: within(scene, desk) });
    expect(result.current.preferences).toBeNull();
    await go();
    expect(result.current).toMatchObject({ preferences: DEFAULT, isLoading: false, error: null });
    await act(() => result.current.save({ marketDataRate: 2 }));
    expect(changes).toEqual([{ marketDataRate: 2 }]);
    expect(result.current).toMatchObject({ preferences: { marketDataRate: 2, version: 2 }, isSaving: false });
    scene.server.publish(changed({ version: 3, muted: ["trade_executed"] }));
    await go();
    expect(result.current.preferences?.muted).toEqual(["trade_executed"]);
    scene.server.publish(changed({ version: 2 })); // late: it was overtaken
    scene.server.publish(changed({ version: 9 }, "bob")); // whom alice supervises
    await go();
    expect(result.current.preferences).toMatchObject({ version: 3, muted: ["trade_executed"] });
  });

  it("says_why_a_change_was_not_kept_and_goes_on_showing_what_is", async () => {
    const desk = fakeDesk({
      preferences: async () => DEFAULT,
      changePreferences: async () => Promise.reject(new Error("desk: marketDataRate: too much")),
    });
    const scene = new Scene();
    const { result } = renderHook(() => useNotificationPreferences(), { wrapper: within(scene, desk) });
    await go();
    await act(() => expect(result.current.save({ marketDataRate: 1e9 })).rejects.toThrow("too much"));
    expect(result.current).toMatchObject({ preferences: DEFAULT, isSaving: false });
    expect(result.current.error?.message).toContain("too much");
    await act(() => result.current.refresh());
    expect(result.current.error).toBeNull();
  });
});

describe("useSessionHistory", () => {
  it("carries_history_on_with_what_comes_also_while_the_desk_is_asked", async () => {
    let answer: (history: PnlHistory) => void = () => {};
    const desk = fakeDesk({ pnl: () => new Promise((resolve) => (answer = resolve)) });
    const scene = new Scene();
    const { result } = renderHook(() => useSessionHistory("s-17"), { wrapper: within(scene, desk) });
    await go();
    scene.server.publish(status("s-17", 25, -3));
    scene.server.publish(status("s-18", 26, 99));
    await go(17);
    answer({ bucketS: 10, points: [{ time: T0_S, pnl: -1 }, { time: T0_S + 10, pnl: -2 }] });
    await go(17);
    scene.server.publish(status("s-17", 29, -4, { equity: 96 }));
    scene.server.publish(status("s-17", 12, 7)); // late
    await go(17);
    expect(result.current).toEqual({
      bucketS: 10,
      points: [{ time: T0_S, pnl: -1 }, { time: T0_S + 10, pnl: -2 }, { time: T0_S + 20, pnl: -4, equity: 96 }],
      isLoading: false,
      error: null,
    });
  });

  it("begins_with_what_comes_when_the_desk_is_away", async () => {
    const desk = fakeDesk({ pnl: async () => Promise.reject(new Error("desk: 503")) });
    const scene = new Scene();
    const { result } = renderHook(() => useSessionHistory("s-17"), { wrapper: within(scene, desk) });
    await go();
    scene.server.publish(status("s-17", 1, 5));
    scene.server.publish({ ...status("s-17", 3, 0), type: "session_completed", status: "completed", summary: { finalPnL: 6 } });
    await go(17);
    expect(result.current.points).toEqual([{ time: T0_S + 1, pnl: 5 }, { time: T0_S + 3, pnl: 6 }]);
    expect(result.current.error?.message).toBe("desk: 503");
  });

  it("stays_strictly_increasing_and_bounded_however_long_it_goes_on", () => {
    let history: PnlHistory = { bucketS: 1, points: [] };
    for (let second = 0; second < 20_000; second += 1) {
      history = carriedOn(history, { time: T0_S + second, pnl: second });
    }
    expect(history.points.length).toBeLessThanOrEqual(1200);
    expect(history.points.at(-1)?.pnl).toBe(19_999);
    for (const [index, { time }] of history.points.entries()) {
      expect(time % history.bucketS).toBe(0);
      if (index > 0) expect(time).toBeGreaterThan(history.points[index - 1]!.time);
    }
  });
});

describe("useAccount", () => {
  const day = (...sessions: AccountDay["sessions"]): AccountDay => ({ userId: "alice", dayEnd: at(3600), sessions });
  const session = (sessionId: string, more: object = {}) => ({ sessionId, open: true, at: T0, pnl: 0, pnlBefore: 0, equity: null, ...more });

  it("carries_equity_and_day_pnl_on", async () => {
    const asked: string[] = [];
    const desk = fakeDesk({
      account: async (timeZone) => {
        asked.push(timeZone);
        return day(session("a", { pnl: 130, pnlBefore: 100, equity: 1130 }), session("b", { open: false, pnl: -20 }));
      },
    });
    const scene = new Scene();
    const { result } = renderHook(() => useAccount("Europe/London"), { wrapper: within(scene, desk) });
    await go(17);
    expect(result.current).toEqual({ equity: 1130, dayPnL: 10, isLoading: false, error: null });
    scene.server.publish(status("a", 5, 140, { equity: 1140 }));
    scene.server.publish(status("new", 6, -3, { equity: 50 }));
    scene.server.publish({ ...status("theirs", 6, 500), userId: "bob" });
    scene.server.publish(status("b", 7, 77)); // on its way when it ended
    await go(17);
    expect(result.current).toMatchObject({ equity: 1190, dayPnL: 40 - 20 - 3 });
    await go(3_600_000); // the day is over
    expect(asked).toEqual(["Europe/London", "Europe/London"]);
  });

  it("takes_the_equity_of_the_last_session_when_none_is_open", () => {
    const sessions = new Map([session("a", { equity: 5, at: at(2) }), session("b", { equity: 7, at: at(9), open: false })].map((one) => [one.sessionId, one]));
    expect(equityOf(sessions.values())).toBe(5);
    const over = accounted(sessions, { ...status("a", 3, 1), type: "session_completed", status: "completed", summary: { finalPnL: 4 } } as never);
    expect([equityOf(over.values()), dayPnLOf(over.values())]).toEqual([7, 4]);
  });

  it("does_not_count_one_that_is_over_among_the_open_ones_when_the_desk_is_away", () => {
    const nothing: Parameters<typeof accounted>[0] = new Map();
    const over = accounted(nothing, { ...status("a", 3, 1), status: "completed", snapshot: true, data: { currentPnL: 3, equity: 100 } } as never);
    const both = accounted(over, { ...status("b", 3, 1), status: "active", data: { currentPnL: 3, equity: 7 } } as never);
    expect(equityOf(both.values())).toBe(7);
  });
});

describe("useAlgorithmDecisions with a desk", () => {
  it("shows_history_below_what_comes_and_asks_again_after_a_loss", async () => {
    const asked: unknown[] = [];
    let history = [decision("d-2", 2), decision("d-1", 1)];
    const desk = fakeDesk({
      decisions: async (of) => {
        asked.push(of);
        return history;
      },
    });
    const scene = new Scene();
    const { result } = renderHook(() => useAlgorithmDecisions("s-17"), { wrapper: within(scene, desk) });
    await go();
    scene.server.publish(decision("d-3", 3));
    scene.server.publish(decision("d-2", 2));
    await go(17);
    expect(result.current.map(({ id }) => id)).toEqual(["d-3", "d-2", "d-1"]);
    history = [decision("d-4", 4), ...history];
    await act(async () => {
      await scene.client.reconnect();
    });
    await go(17);
    expect(result.current.map(({ id }) => id)).toEqual(["d-4", "d-3", "d-2", "d-1"]);
    expect(asked).toEqual([{ sessionId: "s-17" }, { sessionId: "s-17" }]);
  });
});

describe("useAlgorithmDecisions before its subscription stands", () => {
  it("shows_what_was_decided_between_the_first_answer_and_the_subscription", async () => {
    let history = [decision("d-1", 1)];
    const scene = new Scene();
    const answer = scene.server.answer.bind(scene.server);
    scene.server.answer = (connection, frame) => {
      if (frame.type === "subscribe") history = [decision("d-2", 2), ...history]; // and no event of it comes
      answer(connection, frame);
    };
    const desk = fakeDesk({ decisions: async () => history });
    const { result } = renderHook(() => useAlgorithmDecisions("s-17"), { wrapper: within(scene, desk) });
    await go();
    await go(17);
    expect(result.current.map(({ id }) => id)).toEqual(["d-2", "d-1"]);
  });
});

describe("useRealTimeNotifications with two devices", () => {
  const item = (id: string, alertLevel = "warning", isRead = false) => {
    const message = alert(id, { alertLevel, ack: alertLevel === "warning" ? undefined : true }) as never;
    return { id, level: alertLevel as "warning", timestamp: T0, ack: alertLevel === "warning" ? null : ("acknowledged" as const), isRead, message };
  };
  const page = (items: NotificationPage["items"], unreadCount = items.length): NotificationPage => ({ items, nextCursor: null, unreadCount });
  const shown = (result: { current: { items: readonly { id: string }[] } }) => result.current.items.map(({ id }) => id).sort();
  const marks = (fields: object) => ({ type: "notification_read", id: "m", timestamp: T0, userId: "alice", ids: [], unreadCount: 0, ...fields });

  it("takes_off_what_another_device_archived_but_never_what_is_open", async () => {
    const list = vi.fn(async () => page([item("w-1"), item("w-2"), item("c-1", "critical"), item("c-2", "critical")]));
    const scene = new Scene();
    const desk = fakeDesk({ notifications: { list, markRead: async () => 0, markAllRead: async () => 0 } });
    const { result } = renderHook(() => useRealTimeNotifications(), { wrapper: within(scene, desk) });
    await go(17);
    scene.server.publish(alert("open"));
    await go(17);
    list.mockResolvedValue(page([item("c-2", "critical")], 1));
    scene.server.publish(marks({ archived: true, all: true, ids: ["c-1", "open"], unreadCount: 1 }));
    await go(17);
    expect(shown(result)).toEqual(["c-2", "open"]);
    expect(scene.server.unacked).toEqual(["open"]);
    expect(result.current.unreadCount).toBe(1);
    await go(2000); // asked again, to be sure of what came at the same time
    expect(shown(result)).toEqual(["c-2", "open"]);
  });

  it("shows_an_open_alert_that_was_archived_before_it_came", async () => {
    const scene = new Scene();
    const desk = fakeDesk({ notifications: { list: async () => page([]), markRead: async () => 0, markAllRead: async () => 0 } });
    const { result } = renderHook(() => useRealTimeNotifications(), { wrapper: within(scene, desk) });
    await go(17);
    scene.server.publish(marks({ archived: true, ids: ["a-1", "w-1"] }));
    scene.server.publish(alert("a-1"));
    scene.server.publish(alert("w-1", { alertLevel: "warning", ack: undefined }));
    await go(17);
    expect(shown(result)).toEqual(["a-1"]);
  });

  it("forgets_what_was_archived_elsewhere_while_it_was_away", async () => {
    const list = vi.fn(async () => page([item("w-2"), item("w-1")]));
    const scene = new Scene();
    const desk = fakeDesk({ notifications: { list, markRead: async () => 0, markAllRead: async () => 0 } });
    const { result } = renderHook(() => useRealTimeNotifications(), { wrapper: within(scene, desk) });
    await go(17);
    expect(shown(result)).toEqual(["w-1", "w-2"]);
    list.mockResolvedValue(page([item("w-2", "warning", true)], 0));
    await act(async () => {
      await scene.client.reconnect();
    });
    await go(17);
    expect(result.current.items).toMatchObject([{ id: "w-2", isRead: true }]);
    expect(result.current.unreadCount).toBe(0);
  });

  it("does_not_let_an_answer_undo_a_mark_that_was_made_while_it_was_on_its_way", async () => {
    const answers: ((page: NotificationPage) => void)[] = [];
    const list = () => new Promise<NotificationPage>((resolve) => answers.push(resolve));
    const scene = new Scene();
    const desk = fakeDesk({ notifications: { list, markRead: async () => 0, markAllRead: async () => 0 } });
    const { result } = renderHook(() => useRealTimeNotifications(), { wrapper: within(scene, desk) });
    await go();
    scene.server.publish(marks({ ids: ["w-1"] }));
    await go();
    answers.shift()!(page([item("w-1")]));
    await go(17);
    expect(result.current.items).toEqual([]); // what was asked for before the mark is out of date
    answers.shift()!(page([item("w-1", "warning", true)], 0));
    await go(17);
    expect(result.current).toMatchObject({ unreadCount: 0, items: [{ id: "w-1", isRead: true }] });
  });

  it("archives_all_and_names_the_critical_ones_that_are_settled", async () => {
    const archive = vi.fn(async () => 0);
    const scene = new Scene();
    const desk = fakeDesk({
      notifications: { list: async () => page([item("w-1"), item("c-1", "critical")]), markRead: async () => 0, markAllRead: async () => 0, archive },
    });
    const { result } = renderHook(() => useRealTimeNotifications(), { wrapper: within(scene, desk) });
    await go(17);
    scene.server.publish(alert("open"));
    await go(17);
    await act(() => result.current.clearAll());
    await go(17);
    expect(archive.mock.calls).toEqual([[["c-1"], true]]);
    expect(shown(result)).toEqual(["open"]);
    expect(scene.server.unacked).toEqual(["open"]);
  });

  it("leaves_alone_the_marks_of_users_that_it_supervises", async () => {
    const scene = new Scene();
    const desk = fakeDesk({ notifications: { list: async () => page([item("w-1")]), markRead: async () => 0, markAllRead: async () => 0 } });
    const { result } = renderHook(() => useRealTimeNotifications(), { wrapper: within(scene, desk) });
    await go(17);
    scene.server.publish(marks({ userId: "bob", all: true }));
    await go(17);
    expect(result.current).toMatchObject({ unreadCount: 1, items: [{ isRead: false }] });
  });
});

describe("deskApi", () => {
  it("asks_with_a_token_and_says_what_the_desk_said", async () => {
    const calls: [string, string, unknown][] = [];
    let answer: { status: number; body: unknown } = { status: 200, body: DEFAULT };
    vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
      calls.push([init.method ?? "GET", url, init.body === undefined ? undefined : JSON.parse(init.body as string)]);
      return new Response(JSON.stringify(answer.body), { status: answer.status });
    });
    const desk = deskApi({ url: "http://desk", getToken: () => "t" });
    await desk.changePreferences({ marketDataRate: null });
    answer = { status: 200, body: { unreadCount: 4 } };
    expect(await desk.notifications.archive!(Array.from({ length: 1001 }, (_, n) => `a-${n}`), true)).toBe(4);
    answer = { status: 200, body: { bucketS: 5, points: [{ time: T0, pnl: 1, equity: null }] } };
    expect(await desk.pnl("s/1", 600)).toEqual({ bucketS: 5, points: [{ time: T0_S, pnl: 1 }] });
    answer = { status: 422, body: { code: "invalid", message: "marketDataRate: too much" } };
    await expect(desk.preferences()).rejects.toThrow("desk: marketDataRate: too much");
    expect(calls.map(([method, url]) => `${method} ${url}`)).toEqual([
      "PATCH http://desk/v1/preferences",
      "POST http://desk/v1/notifications/archive",
      "POST http://desk/v1/notifications/archive",
      "GET http://desk/v1/sessions/s%2F1/pnl?points=600",
      "GET http://desk/v1/preferences",
    ]);
    expect(calls[0]![2]).toEqual({ marketDataRate: null });
    expect(calls[2]![2]).toEqual({ ids: ["a-1000"] });
  });
});

it("renders_on_a_server_without_asking_anybody", () => {
  const scene = new Scene();
  function Page() {
    const { preferences } = useNotificationPreferences();
    const { points } = useSessionHistory("s-17");
    const { equity, dayPnL } = useAccount("UTC");
    return <p>{JSON.stringify([preferences, points, equity, dayPnL])}</p>;
  }
  const html = renderToString(<TapewireProvider client={scene.client} desk={fakeDesk()}><Page /></TapewireProvider>);
  expect(html).toBe("<p>[null,[],null,null]</p>");
  expect(scene.server.connections).toHaveLength(0);
});
