import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { NotConnected, Timeout } from "../src/index.ts";
import type { TokenRequest } from "../src/index.ts";
import { FakeServer } from "../src/testing/index.ts";
import { Scene, alert, fakeLocks, memoryStore, pass, settle, trade } from "./scene.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("connection", () => {
  it("goes_from_idle_to_connected_and_back", async () => {
    const { client } = new Scene();
    const states = [client.info.state];
    client.onStateChange(() => {
      if (states.at(-1) !== client.info.state) states.push(client.info.state);
    });
    await client.connect();
    expect(client.info).toMatchObject({ userId: "alice", transport: "websocket", isStale: false });
    client.disconnect();
    expect(states).toEqual(["idle", "connecting", "connected", "idle"]);
  });

  it("keeps_the_same_info_object_until_something_changes", async () => {
    const { client } = await new Scene().connected();
    const { info } = client;
    await pass(999);
    expect(client.info).toBe(info);
  });

  it("doubles_the_ceiling_of_its_delay_and_starts_again_after_five_stable_seconds", async () => {
    const scene = await new Scene().connected();
    scene.server.stop();
    await settle();
    const waits: number[] = [];
    for (let attempt = 0; attempt < 8; attempt += 1) {
      waits.push(scene.client.info.nextRetryAt! - Date.now());
      await pass(waits.at(-1)!);
    }
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    scene.server.start();
    await pass(20_000);
    expect(scene.client.info).toMatchObject({ state: "connected", attempt: 0 });
  });

  it("does_not_count_a_short_connection_as_stable", async () => {
    const scene = await new Scene().connected();
    for (const attempt of [1, 2, 3]) {
      scene.server.connection.drop();
      await settle();
      expect(scene.client.info.attempt).toBe(attempt);
      await pass(4000);
      expect(scene.client.info.state).toBe("connected");
    }
  });

  it("tries_the_next_edge_after_a_failure", async () => {
    const urls = ["ws://edge-1/ws", "ws://edge-2/ws"];
    const scene = new Scene({ url: urls, shuffle: false }, { judge: ({ url }) => (url === urls[0] ? 1006 : null) });
    void scene.client.connect();
    await pass(1000);
    expect(scene.client.info.state).toBe("connected");
    expect(scene.server.connection.handshake.url).toBe(urls[1]);
  });

  it("tries_the_next_edge_after_a_loss", async () => {
    const urls = ["ws://edge-1/ws", "ws://edge-2/ws"];
    const scene = await new Scene({ url: urls, shuffle: false }).connected();
    expect(scene.server.connection.handshake.url).toBe(urls[0]);
    scene.server.connection.drop();
    await pass(1000);
    expect(scene.server.connection.handshake.url).toBe(urls[1]);
  });

  it("tries_every_edge_in_an_order_of_chance", async () => {
    const urls = Array.from({ length: 8 }, (_, n) => `ws://edge-${n}/ws`);
    const orders = [0.1, 0.5, 0.9].map((chance) => {
      const tried: string[] = [];
      const judge = ({ url }: { url: string }) => (tried.push(url), 1006);
      const scene = new Scene({ url: urls, backoff: { maxMs: 10 }, platform: { random: () => chance } }, { judge });
      void scene.client.connect();
      return { scene, tried };
    });
    await pass(1000);
    for (const { tried } of orders) {
      expect(tried.slice(0, 8).sort()).toEqual(urls);
      expect(tried.slice(8, 16)).toEqual(tried.slice(0, 8));
    }
    expect(new Set(orders.map(({ tried }) => tried[0])).size).toBeGreaterThan(1);
  });

  it("says_offline_when_the_browser_does_and_comes_back_at_once_when_it_is_online", async () => {
    const scene = await new Scene().connected();
    scene.isOnline = false;
    scene.server.stop();
    await pass(60_000);
    expect(scene.client.info.state).toBe("offline");
    scene.server.start();
    scene.isOnline = true;
    scene.signal("online");
    await settle();
    expect(scene.client.info.state).toBe("connected");
  });

  it("looks_for_a_sign_of_life_when_the_network_is_said_to_be_gone", async () => {
    const scene = await new Scene({}, { answers: false }).connected();
    scene.server.answer = () => {}; // half open: nothing comes back
    scene.signal("offline");
    await pass(4999);
    expect(scene.client.info.state).toBe("connected");
    await pass(1);
    expect(scene.client.info).toMatchObject({ state: "reconnecting", code: 4003 });
  });

  it("is_not_taken_in_by_what_was_still_on_its_way_when_the_network_went", async () => {
    const scene = await new Scene({}, { answers: false }).connected();
    scene.server.answer = () => {};
    scene.isOnline = false;
    scene.signal("offline");
    scene.server.connection.send(trade("t-1"));
    await pass(5000);
    expect(scene.client.info.state).toBe("connected");
    await pass(5000);
    expect(scene.client.info).toMatchObject({ state: "offline", code: 4003 });
  });

  it("wakes_from_sleep_to_a_new_connection_without_waiting", async () => {
    const scene = await new Scene().connected();
    vi.setSystemTime(Date.now() + 3_600_000); // timers stood still
    scene.signal("visible");
    expect(scene.client.info).toMatchObject({ state: "reconnecting", code: 4003, isStale: true });
    expect(scene.server.connection.leftWith).toBeNull();
    await pass(500);
    expect(scene.server.connections[0]!.leftWith).toBe(4003);
    expect(scene.client.info.state).toBe("connected");
  });

  it("is_stale_before_silence_is_a_loss", async () => {
    const scene = await new Scene().connected();
    scene.server.answer = () => {};
    await pass(35_000);
    expect(scene.client.info).toMatchObject({ state: "connected", isStale: true });
    scene.server.connection.send({ type: "heartbeat" });
    await pass(1);
    await pass(5000);
    expect(scene.client.info).toMatchObject({ state: "connected", isStale: false });
  });

  it("measures_the_round_trip_of_its_heartbeat", async () => {
    const scene = await new Scene().connected();
    scene.server.answer = (connection) => void setTimeout(() => connection.send({ type: "heartbeat" }), 12);
    await pass(1012);
    expect(scene.client.info.latencyMs).toBe(12);
  });

  it("rejects_connect_when_the_server_refuses", async () => {
    const scene = new Scene({}, { judge: () => 4500 });
    await expect(scene.client.connect()).rejects.toThrow("invalid token");
    expect(scene.client.info.state).toBe("failed");
  });

  it("hears_nothing_more_from_a_connection_that_it_left", async () => {
    const scene = await new Scene().connected();
    const [first] = scene.server.connections;
    void scene.client.reconnect();
    first!.send(trade("late"));
    const seen: string[] = [];
    scene.client.onMessage("trade_executed", ({ id }) => void seen.push(id));
    await settle();
    expect(seen).toEqual([]);
    expect(scene.client.info.state).toBe("connected");
  });
});

describe("token", () => {
  it("is_asked_for_once_at_a_time", async () => {
    const asked: TokenRequest["reason"][] = [];
    const scene = new Scene({
      getToken: ({ reason }) => {
        asked.push(reason);
        return new Promise((resolve) => setTimeout(() => resolve("t-1"), 100));
      },
    });
    void scene.client.connect();
    void scene.client.reconnect();
    void scene.client.reconnect();
    await pass(100);
    expect(asked).toEqual(["connect"]);
    expect(scene.client.info.state).toBe("connected");
    expect(scene.server.connections).toHaveLength(1);
  });

  it("is_refreshed_in_band_a_minute_before_it_ends", async () => {
    const asked: string[] = [];
    const scene = new Scene({ getToken: ({ reason }) => `t-${asked.push(reason)}` });
    await scene.connected();
    await pass(479_000);
    expect(asked).toEqual(["connect"]);
    await pass(2000);
    expect(scene.server.connection.sent("refresh")).toMatchObject([{ token: "t-2" }]);
    expect(scene.server.connections).toHaveLength(1);
  });

  it("that_comes_after_a_disconnect_opens_nothing_and_its_request_is_aborted", async () => {
    let signal: AbortSignal | undefined;
    const scene = new Scene({
      getToken: (request) => {
        ({ signal } = request);
        return new Promise((resolve) => setTimeout(() => resolve("t-1"), 100));
      },
    });
    void scene.client.connect();
    await settle();
    scene.client.disconnect();
    await pass(1000);
    expect(signal!.aborted).toBe(true);
    expect(scene.server.connections).toHaveLength(0);
  });

  it("that_cannot_be_had_is_asked_for_again", async () => {
    let asked = 0;
    const scene = new Scene({
      getToken: () => {
        asked += 1;
        if (asked < 3) throw new Error("no answer");
        return "t-1";
      },
    });
    void scene.client.connect();
    await pass(5000);
    expect(asked).toBe(3);
    expect(scene.client.info.state).toBe("connected");
  });

  it("that_cannot_be_had_for_good_ends_the_tries", async () => {
    const scene = new Scene({
      getToken: () => Promise.reject(Object.assign(new Error("signed out"), { retryable: false })),
    });
    await expect(scene.client.connect()).rejects.toThrow("signed out");
    expect(scene.client.info.state).toBe("failed");
  });

  it("that_no_header_can_carry_travels_in_the_first_message", async () => {
    const scene = await new Scene({ getToken: () => "opaque token" }).connected();
    expect(scene.server.connection.sent("authenticate")).toMatchObject([{ token: "opaque token" }]);
    expect(JSON.stringify(scene.client.inspect())).not.toContain("opaque");
  });
});

describe("messages", () => {
  it("of_a_burst_reach_the_handler_every_one_in_order_and_are_acked_in_few_frames", async () => {
    const scene = await new Scene().connected();
    const seen: string[] = [];
    scene.client.onMessage("risk_alert", ({ id }) => void seen.push(id));
    const ids = Array.from({ length: 10_000 }, (_, index) => `a-${index}`);
    for (const id of ids) scene.server.publish(alert(id));
    await pass(200);
    expect(seen).toEqual(ids);
    expect(scene.server.unacked).toEqual([]);
    expect(scene.server.connection.sent("ack").length).toBeLessThan(20);
  });

  it("that_were_handled_are_not_handled_again_after_a_restart_with_the_same_storage", async () => {
    const storage = memoryStore();
    const server = new FakeServer();
    const seen: string[] = [];
    for (const ids of [["a-1", "a-2"], ["a-2", "a-3"]]) {
      const scene = new Scene({ storage, clientId: "exec-1" }, server);
      scene.client.onMessage("risk_alert", ({ id }) => void seen.push(id));
      await scene.connected();
      for (const id of ids) server.publish(alert(id));
      await settle();
      scene.client.disconnect();
      await settle();
    }
    expect(seen).toEqual(["a-1", "a-2", "a-3"]);
    expect(server.unacked).toEqual([]);
  });

  it("that_wait_for_a_persons_ack_come_again_after_a_reload", async () => {
    const storage = memoryStore();
    const server = new FakeServer();
    const seen: string[] = [];
    const visit = async () => {
      const scene = new Scene({ storage, clientId: "tab" }, server);
      scene.client.onMessage("risk_alert", ({ id }) => void seen.push(id), { manualAck: true });
      return scene.connected();
    };
    const first = await visit();
    server.publish(alert("a-1"));
    await settle();
    first.client.disconnect();
    const second = await visit();
    expect(seen).toEqual(["a-1", "a-1"]);
    second.client.ack("a-1");
    await settle();
    expect(server.unacked).toEqual([]);
  });

  it("that_found_no_handler_wait_for_one_unacked", async () => {
    const scene = await new Scene().connected();
    scene.server.publish(alert("a-1"));
    scene.server.publish(alert("a-2"));
    await settle();
    expect(scene.server.unacked).toEqual(["a-1", "a-2"]);
    const seen: string[] = [];
    scene.client.onMessage("risk_alert", ({ id }) => void seen.push(id));
    await settle();
    expect(seen).toEqual(["a-1", "a-2"]);
    expect(scene.server.unacked).toEqual([]);
  });

  it("are_left_unacked_by_a_handler_that_rejects", async () => {
    const scene = await new Scene().connected();
    scene.client.onMessage("risk_alert", () => Promise.reject(new Error("no")));
    scene.server.publish(alert("a-1"));
    await settle();
    expect(scene.server.unacked).toEqual(["a-1"]);
    expect(scene.errors).toHaveLength(1);
  });

  it("acknowledged_while_away_are_acked_when_they_come_again", async () => {
    const scene = new Scene({ autoAck: false });
    const seen: string[] = [];
    scene.client.onMessage("risk_alert", ({ id }) => void seen.push(id));
    await scene.connected();
    scene.server.publish(alert("a-1"));
    await settle();
    scene.server.connection.drop();
    await settle();
    scene.client.ack("a-1");
    await pass(1000);
    expect(scene.server.unacked).toEqual([]);
    expect(seen).toEqual(["a-1"]);
  });

  it("reach_no_handler_that_was_taken_off", async () => {
    const scene = await new Scene().connected();
    const seen: string[] = [];
    const handler = ({ id }: { id: string }) => void seen.push(id);
    scene.client.onMessage("trade_executed", handler);
    scene.server.publish(trade("t-1"));
    await settle();
    scene.client.offMessage("trade_executed", handler);
    scene.server.publish(trade("t-2"));
    await settle();
    expect(seen).toEqual(["t-1"]);
  });
});

describe("channels", () => {
  it("of_one_turn_are_asked_for_in_one_frame", async () => {
    const scene = await new Scene().connected();
    scene.client.lease("market:SPY");
    scene.client.lease("market:QQQ", "market:SPY");
    void scene.client.subscribe("system");
    await settle();
    expect(scene.server.connection.sent("subscribe").map(({ channels }) => channels)).toEqual([
      ["system", "market:SPY", "market:QQQ"],
    ]);
  });

  it("are_given_up_two_seconds_after_the_last_holder_let_go", async () => {
    const scene = await new Scene().connected();
    const releases = [scene.client.lease("market:SPY"), scene.client.lease("market:SPY")];
    await settle();
    releases[0]!();
    await pass(3000);
    releases[1]!();
    releases[1]!();
    await pass(1999);
    expect(scene.server.connection.sent("unsubscribe")).toEqual([]);
    await pass(1);
    expect(scene.server.connection.sent("unsubscribe")).toMatchObject([{ channels: ["market:SPY"] }]);
  });

  it("let_go_and_taken_up_again_cause_no_traffic", async () => {
    const scene = await new Scene().connected();
    scene.client.lease("market:SPY")();
    scene.client.lease("market:SPY");
    await pass(5000);
    expect(scene.server.connection.sent("subscribe")).toHaveLength(1);
    expect(scene.server.connection.sent("unsubscribe")).toHaveLength(0);
  });

  it("subscribed_while_away_are_asked_for_on_the_next_connection_and_the_caller_is_told", async () => {
    const scene = new Scene({}, { refuse: (channel) => (channel === "sessions:bob" ? "forbidden" : null) });
    const reply = scene.client.subscribe("sessions:alice", "sessions:bob");
    await scene.connected();
    await expect(reply).resolves.toEqual({
      channels: ["sessions:alice"],
      rejected: [{ channel: "sessions:bob", code: "forbidden" }],
    });
    scene.server.connection.drop();
    await pass(1000);
    expect(scene.server.connection.sent("subscribe")).toMatchObject([{ channels: ["sessions:alice"] }]);
  });

  it("given_up_while_away_are_given_up_on_the_server_too", async () => {
    const server = new FakeServer({ welcome: { channels: ["user:alice", "session:s-1", "session:other"] } });
    const scene = await new Scene({}, server).connected();
    const release = scene.client.lease("session:s-1");
    await settle();
    server.stop();
    release();
    await pass(3000);
    server.start();
    await pass(20_000);
    expect(server.connection.sent("unsubscribe")).toMatchObject([{ channels: ["session:s-1"] }]);
  });
});

describe("what the client sends", () => {
  it("waits_for_the_connection_and_expires", async () => {
    const scene = new Scene();
    expect(scene.client.sendMessage({ type: "ack", ids: ["old"] }, { ttlMs: 1000 })).toBe(true);
    await pass(1000);
    scene.client.sendMessage({ type: "ack", ids: ["new"] });
    await scene.connected();
    expect(scene.server.connection.sent("ack")).toMatchObject([{ ids: ["new"] }]);
  });

  it("is_bounded_while_there_is_no_connection", () => {
    const { client } = new Scene();
    const kept = Array.from({ length: 100 }, () => client.sendMessage({ type: "heartbeat" }));
    expect(kept.filter(Boolean)).toHaveLength(64);
  });

  it("keeps_no_command_for_later", async () => {
    const { client } = new Scene();
    await expect(client.emergencyStop({ sessionId: "s-17" })).rejects.toBeInstanceOf(NotConnected);
    const stop = { type: "command", command: "emergency_stop", sessionId: "s-17", idempotencyKey: "k" } as const;
    expect(client.sendMessage(stop)).toBe(false);
  });

  it("fails_when_no_answer_comes", async () => {
    const scene = await new Scene({}, { answers: false }).connected();
    const outcome = scene.client.emergencyStop({ sessionId: "s-17" }).catch((error: unknown) => error);
    await pass(10_000);
    await expect(outcome).resolves.toBeInstanceOf(Timeout);
  });
});

describe("device", () => {
  const jwt = `x.${btoa(JSON.stringify({ sub: "alice" }))}.y`;

  it("is_the_same_after_a_reload_and_another_in_a_second_tab", async () => {
    const storage = memoryStore();
    const locks = fakeLocks();
    const tab = async () => new Scene({ getToken: () => jwt, storage, platform: { locks } }).connected();
    const id = ({ server }: Scene) => server.connection.handshake.query.clientId;
    const first = await tab();
    const second = await tab();
    expect(id(second)).not.toBe(id(first));
    first.client.disconnect();
    await settle();
    const reloaded = await tab();
    expect(id(reloaded)).toBe(id(first));
    expect(reloaded.server.connection.handshake.query.resume).toBe("true");
  });

  it("has_an_id_of_its_tab_where_there_are_no_locks", async () => {
    const tabStorage = memoryStore();
    const tab = async () =>
      new Scene({ getToken: () => jwt, storage: memoryStore(), platform: { tabStorage } }).connected();
    const ids = [await tab(), await tab()].map(({ server }) => server.connection.handshake.query.clientId);
    expect(ids[0]).toBeTruthy();
    expect(ids[1]).toBe(ids[0]);
  });

  it("has_none_without_storage", async () => {
    const scene = await new Scene().connected();
    expect(scene.server.connection.handshake.query).toEqual({});
  });
});
