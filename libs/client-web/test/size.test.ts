import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { beforeAll, expect, it } from "vitest";

const CORE_BYTES = 8 * 1024; // as the README promises, compressed
const FALLBACK_BYTES = 2.5 * 1024;

interface Chunk {
  readonly code: string;
  readonly fileName: string;
  readonly isEntry: boolean;
  readonly imports: readonly string[];
}

let chunks: readonly Chunk[];

beforeAll(async () => {
  const result = await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      target: "es2022",
      ssr: true, // for what it leaves out: Vite's own code for preloading chunks
      minify: true,
      // Not `build.lib`, which leaves white space in.
      rolldownOptions: {
        input: fileURLToPath(new URL("../src/index.ts", import.meta.url)),
        preserveEntrySignatures: "strict",
      },
    },
  });
  chunks = (result as unknown as { output: Chunk[] }).output;
}, 60_000);

it("the_core_stays_small", () => {
  const core = chunks.find(({ isEntry }) => isEntry)!;
  expect(core.imports).toEqual([]); // all of it is in this chunk
  expect(gzipSync(core.code).length).toBeLessThanOrEqual(CORE_BYTES);
});

it("what_stands_in_for_a_websocket_is_apart_and_small_too", () => {
  const apart = chunks.filter(({ isEntry }) => !isEntry);
  expect(apart.map(({ fileName }) => fileName)).toHaveLength(1);
  expect(gzipSync(apart[0]!.code).length).toBeLessThanOrEqual(FALLBACK_BYTES);
});
