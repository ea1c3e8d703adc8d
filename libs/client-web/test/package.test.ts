import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { publint } from "publint";
import { afterAll, beforeAll, expect, it } from "vitest";

const SOURCE = fileURLToPath(new URL("..", import.meta.url));
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "tapewire-client-"));
  for (const name of ["package.json", "README.md", "src"]) cpSync(join(SOURCE, name), join(directory, name), { recursive: true });
  execFileSync("npx", ["tsc", "-p", "tsconfig.build.json", "--outDir", join(directory, "dist")], { cwd: SOURCE });
}, 120_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

it("is_packed_as_its_users_will_load_it", async () => {
  const { messages } = await publint({ pkgDir: directory, level: "warning", strict: true, pack: false });
  expect(messages).toEqual([]);
});

it("loads_in_node_and_brings_what_stands_in_for_a_websocket", async () => {
  const { WebSocketClient } = (await import(join(directory, "dist/index.js"))) as typeof import("../src/index.ts");
  expect(new WebSocketClient({ url: "ws://edge/ws", getToken: () => "t" }).info.state).toBe("idle");
  expect(readdirSync(join(directory, "dist/fallback"))).toContain("index.js");
});
