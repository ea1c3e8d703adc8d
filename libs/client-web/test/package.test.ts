import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
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

// What the blocks of the README take for granted, and what their dots stand for.
const GIVEN = `import type { WebSocketClient as Given } from "@tapewire/client";
declare global {
  function fetchToken(): Promise<string>;
  function getToken(): Promise<string>;
}
`;
const DOTS = [
  ["ack: true, … }", "ack: true }"],
  ["  …\n", "  return <p onClick={() => acknowledge(items[0]!.id)}>{unreadCount}</p>;\n"],
] as const;

it("is_what_the_readme_says_to_whoever_writes_it_down", () => {
  const modules = join(directory, "node_modules");
  mkdirSync(join(modules, "@tapewire"), { recursive: true });
  symlinkSync(directory, join(modules, "@tapewire", "client"));
  for (const name of ["@types", "react"]) symlinkSync(fileURLToPath(new URL(`../../../node_modules/${name}`, import.meta.url)), join(modules, name));
  let readme = readFileSync(join(SOURCE, "README.md"), "utf8");
  for (const [dots, words] of DOTS) {
    expect(readme).toContain(dots);
    readme = readme.replace(dots, words);
  }
  const blocks = [...readme.matchAll(/```(tsx?)\n(.*?)```/gs)];
  expect(blocks).toHaveLength(4);
  const files = blocks.map(([, kind, code], number) => {
    const client = /const client =/.test(code!) ? "" : "declare const client: Given;\n";
    writeFileSync(join(directory, `block-${number}.${kind}`), GIVEN + client + code);
    return `block-${number}.${kind}`;
  });
  const options = "--noEmit --strict --target es2022 --module esnext --moduleResolution bundler --jsx react-jsx --types node";
  const tsc = fileURLToPath(new URL("../../../node_modules/.bin/tsc", import.meta.url));
  expect(spawnSync(tsc, [...options.split(" "), ...files], { cwd: directory, encoding: "utf8" }).stdout).toBe("");
}, 120_000);
