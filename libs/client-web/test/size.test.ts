import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { expect, it } from "vitest";

const LIMIT_BYTES = 8 * 1024; // web.md: the core is at most 8 kB compressed

it("the_core_stays_small", { timeout: 60_000 }, async () => {
  const result = await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      target: "es2022",
      // Not `build.lib`, which leaves white space in.
      rolldownOptions: {
        input: fileURLToPath(new URL("../src/index.ts", import.meta.url)),
        preserveEntrySignatures: "strict",
      },
    },
  });
  const { output } = result as unknown as { output: { code: string }[] };
  const bytes = gzipSync(output[0]!.code).length;
  expect(bytes).toBeLessThanOrEqual(LIMIT_BYTES);
});
