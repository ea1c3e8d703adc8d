// @vitest-environment happy-dom
import { afterEach, expect, it, vi } from "vitest";
import { FakeServer } from "../src/testing/index.ts";
import { Scene } from "./scene.ts";

afterEach(() => void vi.unstubAllGlobals());

it.each([
  ["/ws", "ws://desk.example:8080/ws"],
  ["http://edge.example/ws", "ws://edge.example/ws"],
  ["https://edge.example/ws", "wss://edge.example/ws"],
])("opens_%s_at_%s", async (url, opened) => {
  vi.stubGlobal("location", { href: "http://desk.example:8080/" });
  const scene = new Scene({ url, WebSocket: undefined as never }, new FakeServer());
  vi.stubGlobal("WebSocket", scene.server.WebSocket);
  await scene.client.connect();
  expect(scene.server.connection.handshake.url).toBe(opened);
});
