import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { ClientOptions, TransportName } from "../src/index.ts";
import { FakeServer } from "../src/testing/index.ts";
import { Scene, alert, memoryStore, pass, settle, trade } from "./scene.ts";

beforeAll(() => import("../src/fallback/index.ts")); // loading it takes real time
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const MINUTE = 60_000;

async function scene(server: FakeServer, options: Partial<ClientOptions> = {}): Promise<Scene> {
  const made = new Scene({ url: "ws://edge/ws", fetch: server.fetch, ...options }, server);
  void made.client.connect();
  for (let turn = 0; turn < 10 && made.client.info.state !== "connected"; turn += 1) await pass(1000);
  return made;
}

function behind(...allowed: TransportName[]): FakeServer {
  const server = new FakeServer();
  server.allowsWebSockets = allowed.includes("websocket");
  server.allowsStreams = allowed.includes("sse");
  server.allowsPolls = allowed.includes("long-poll");
  return server;
}

describe.each(["sse", "long-poll"] as const)("over %s", (over) => {
  it("connects_where_no_websocket_can_be_opened_and_says_so", async () => {
    const { client } = await scene(behind(over));
    expect(client.info).toMatchObject({ state: "connected", transport: over, userId: "alice", isStale: false });
  });

  it("subscribes_handles_and_acknowledges", async () => {
    const server = behind(over);
    const { client } = await scene(server);
    const seen: string[] = [];
    client.onMessage("risk_alert", ({ id }) => void seen.push(id));
    await expect(client.subscribe("market:SPY")).resolves.toMatchObject({ channels: ["market:SPY"] });
    for (const id of ["a-1", "a-2", "a-3"]) server.publish(alert(id));
    await pass(500);
    expect(seen).toEqual(["a-1", "a-2", "a-3"]);
    expect(server.unacked).toEqual([]);
  });

  it("proves_receipt_of_what_came", async () => {
    const server = behind(over);
    await scene(server);
    server.publish(trade("t-1"));
    await pass(200);
    expect(server.connection.proved).toBe(2); // after `welcome`
  });

  it("returns_to_websocket_after_five_minutes_losing_nothing_and_handing_nothing_on_twice", async () => {
    const server = behind(over);
    const { client } = await scene(server, { storage: memoryStore(), clientId: "tab" });
    const seen: string[] = [];
    client.onMessage("risk_alert", ({ id }) => {
      seen.push(id);
      return id === "a-2" ? new Promise(() => {}) : undefined; // a-2 is on its way while the transport changes
    });
    server.publish(alert("a-1"));
    await pass(1000);
    server.allowsWebSockets = true;
    await pass(4 * MINUTE);
    expect(client.info.transport).toBe(over);
    server.publish(alert("a-2"));
    await pass(MINUTE + 10_000);
    expect(client.info).toMatchObject({ state: "connected", transport: "websocket" });
    server.publish(alert("a-3"));
    await settle();
    expect(seen).toEqual(["a-1", "a-2"]); // a-3 waits behind the handler of a-2
    expect(server.unacked).toEqual(["a-2", "a-3"]);
    expect(server.connections.filter(({ isOpen }) => isOpen)).toHaveLength(1);
  });

  it("waits_with_the_change_until_every_request_is_answered", async () => {
    const server = behind(over);
    const { client } = await scene(server, { fallback: { retryMs: 10_000 } });
    await pass(2000);
    server.answer = () => {};
    const stop = client.emergencyStop({ sessionId: "s-1", idempotencyKey: "k" });
    server.allowsWebSockets = true;
    server.answer = (connection, frame) => {
      if (frame.type === "heartbeat") connection.send({ type: "heartbeat" });
    };
    await pass(9000);
    expect(client.info.transport).toBe(over);
    const first = server.connections.find(({ isOpen }) => isOpen)!;
    first.send({ type: "accepted", id: (first.sent("command")[0] as { id: number }).id, idempotencyKey: "k" });
    await expect(stop).resolves.toMatchObject({ idempotencyKey: "k" });
    await pass(2000);
    expect(client.info.transport).toBe("websocket");
  });

  it("hears_why_it_was_closed", async () => {
    const server = behind(over);
    const { client } = await scene(server);
    server.connection.close(4506, "replaced");
    await pass(100);
    expect(client.info).toMatchObject({ state: "failed", code: 4506 });
  });

  it("is_refused_with_the_servers_code", async () => {
    const server = new FakeServer({ judge: () => 4500 });
    server.allowsWebSockets = false;
    server.allowsStreams = over === "sse";
    const { client } = await scene(server);
    expect(client.info).toMatchObject({ state: "failed", code: 4500 });
  });

  it("uses_the_refreshed_token", async () => {
    const server = behind(over);
    let asked = 0;
    const bearers = new Set<string | null>();
    const fetch: typeof globalThis.fetch = (input, init) => {
      bearers.add(new Headers(init?.headers).get("Authorization"));
      return server.fetch(input, init);
    };
    await scene(server, { fetch, getToken: () => `t-${(asked += 1)}` });
    await pass(481_000);
    bearers.clear();
    await pass(30_000); // a heartbeat
    expect([...bearers]).toEqual([`Bearer t-${asked}`]);
  });
});

it("tries_websocket_first_each_time_that_it_has_worked", async () => {
  const server = behind("websocket", "sse");
  const { client } = await scene(server);
  for (let loss = 0; loss < 5; loss += 1) {
    server.connection.drop();
    await pass(6000);
    expect(client.info.transport).toBe("websocket");
  }
});

it("gives_up_a_websocket_that_hangs_after_five_seconds", async () => {
  const server = behind("sse");
  class Hanging {
    readyState = 0;
    close() {}
  }
  const { client } = await scene(server, { WebSocket: Hanging as never });
  expect(client.info).toMatchObject({ state: "connected", transport: "sse" });
});

it("does_not_take_a_servers_refusal_for_a_blocked_way", async () => {
  const server = new FakeServer({ judge: () => 4005 });
  const { client } = await scene(server);
  await pass(MINUTE);
  expect(client.info).toMatchObject({ state: "reconnecting", code: 4005 });
  expect(server.connections.every(({ handshake }) => handshake.url === "ws://edge/ws")).toBe(true);
});

it("is_back_on_websocket_seconds_after_an_outage_of_everything", async () => {
  const server = behind("websocket", "sse", "long-poll");
  const { client } = await scene(server);
  server.stop();
  for (let outage = 0; outage < 4; outage += 1) {
    await pass(7000 + outage * 20_000);
    server.start();
    await pass(30_000);
    expect(client.info).toMatchObject({ state: "connected", transport: "websocket" });
    server.stop();
  }
});

it("stays_with_websocket_when_told_to", async () => {
  const { client } = await scene(behind("sse"), { fallback: false });
  await pass(MINUTE);
  expect(client.info.state).toBe("reconnecting");
});

it("leaves_a_polled_connection_when_it_disconnects", async () => {
  const server = behind("long-poll");
  const { client } = await scene(server);
  const { connection } = server;
  client.disconnect();
  await settle();
  expect(connection.leftWith).toBe(1000);
});
