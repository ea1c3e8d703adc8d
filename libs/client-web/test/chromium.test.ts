/** The SDK in a real browser, on real sockets: each transport, bursts, the network's coming and going. */

import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import type { Browser, BrowserContext, Page as Tab } from "playwright-core";
import { build } from "vite";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { ClientOptions } from "../src/index.ts";
import type { Page } from "./chromium/page.tsx";
import { openRooms } from "./chromium/rooms.ts";
import type { Rooms } from "./chromium/rooms.ts";
import { alert, quote, trade } from "./events.ts";

declare const tapewire: Page;

const executablePath = findChromium();
if (!executablePath) console.warn("NOT TESTED in a browser: there is no Chromium here (TAPEWIRE_TEST_CHROMIUM names one)");

const eventually = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 40_000, interval: 20 });

describe.skipIf(!executablePath)("in Chromium", { timeout: 60_000 }, () => {
  let rooms: Rooms;
  let browser: Browser;
  let context: BrowserContext;
  let names = 0;

  beforeAll(async () => {
    rooms = await openRooms(await bundle());
    // In a container there is neither a user namespace for its sandbox nor much of /dev/shm.
    const args = ["--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"];
    browser = await chromium.launch({ executablePath: executablePath!, args });
  }, 120_000);
  afterEach(() => context.close());
  afterAll(async () => {
    await browser.close();
    rooms.close();
  });

  async function open() {
    const name = `room-${(names += 1)}`;
    context = await browser.newContext();
    const tab: Tab = await context.newPage();
    await tab.goto(`http://localhost:${rooms.address.split(":")[1]}/`); // another origin than the rooms'
    const url = `ws://${rooms.address}/${name}/ws`;
    const connect = (options: Pick<ClientOptions, "fallback" | "backoff"> = {}) =>
      tab.evaluate(([at, given]) => tapewire.connect(at, given), [url, options] as const);
    const info = () => tab.evaluate(() => tapewire.info());
    const becomes = (expected: object) => eventually(async () => expect(await info()).toMatchObject(expected));
    return { server: rooms.room(name), tab, url, connect, info, becomes };
  }

  describe.each([
    ["websocket", {}],
    ["sse", { allowsWebSockets: false }],
    ["long-poll", { allowsWebSockets: false, allowsStreams: false }],
  ] as const)("over %s", (transport, allowed) => {
    it("connects_handles_acknowledges_and_comes_back", async () => {
      const { server, tab, connect, info, becomes } = await open();
      Object.assign(server, allowed);
      for (const id of ["a-0", "a-1", "a-2"]) server.publish(alert(id));
      await connect();
      expect(await info()).toMatchObject({ state: "connected", transport });
      await eventually(() => expect(server.unacked).toEqual([]));
      const before = server.connections.length;
      server.connection.drop();
      await eventually(() => expect(server.connections.length).toBeGreaterThan(before));
      server.publish(alert("a-3"));
      await eventually(() => expect(server.unacked).toEqual([]));
      expect(await tab.evaluate(() => tapewire.seen())).toEqual(["a-0", "a-1", "a-2", "a-3"]);
      await becomes({ state: "connected", transport });
    });

    it("brings_every_event_of_a_burst_to_useRealTimeEvent_and_quotes_once_a_frame", async () => {
      const { server, tab, url, becomes } = await open();
      Object.assign(server, allowed);
      await tab.evaluate((at) => tapewire.mount(at), url);
      await becomes({ state: "connected", transport });
      const before = await tab.evaluate(() => tapewire.counts());
      const ids = Array.from({ length: 10_000 }, (_, number) => `t-${number}`);
      for (const id of ids) server.publish(trade(id));
      for (let number = 1; number <= 10_000; number += 1) server.publish(quote(`q-${number}`));
      await eventually(async () => {
        const { seen, price } = await tab.evaluate(() => tapewire.counts());
        expect({ seen, price }).toEqual({ seen: 10_000, price: 10_000 });
      });
      const { renders, frames } = await tab.evaluate(() => tapewire.counts());
      expect(await tab.evaluate(() => tapewire.seen())).toEqual(ids);
      expect(renders - before.renders).toBeLessThanOrEqual(2 * (frames - before.frames + 1)); // StrictMode renders twice
    });
  });

  it("returns_to_websocket_when_it_is_let_through_again", async () => {
    const { server, connect, becomes } = await open();
    server.allowsWebSockets = false;
    await connect({ fallback: { retryMs: 200 } });
    await becomes({ transport: "sse" });
    server.allowsWebSockets = true;
    await becomes({ state: "connected", transport: "websocket" });
    await eventually(() => expect(server.connections.filter(({ isOpen }) => isOpen)).toHaveLength(1));
  });

  it("is_offline_when_chromium_is_and_back_at_once_when_it_is_online", async () => {
    const { server, connect, becomes } = await open();
    await connect({ backoff: { firstMs: 120_000, maxMs: 120_000 } });
    await context.setOffline(true);
    server.connection.drop();
    await becomes({ state: "offline" });
    await context.setOffline(false);
    await becomes({ state: "connected" });
  });

  it("wakes_from_sleep_to_a_new_connection", async () => {
    const { server, tab, connect, becomes } = await open();
    await connect();
    await tab.evaluate(() => tapewire.sleep(3_600_000));
    await eventually(() => expect(server.connections).toHaveLength(2));
    await becomes({ state: "connected" });
  });
});

async function bundle(): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: "silent",
    define: { "process.env.NODE_ENV": '"development"' }, // StrictMode does what it does
    build: {
      write: false,
      minify: false,
      rolldownOptions: {
        input: fileURLToPath(new URL("chromium/page.tsx", import.meta.url)),
        output: { format: "iife", codeSplitting: false },
      },
    },
  });
  return (result as unknown as { output: { code: string }[] }).output[0]!.code;
}

function findChromium(): string | undefined {
  const named = process.env.TAPEWIRE_TEST_CHROMIUM;
  const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
  const paths = (process.env.PATH ?? "").split(delimiter);
  return named ?? names.flatMap((name) => paths.map((path) => join(path, name))).find((path) => existsSync(path));
}
