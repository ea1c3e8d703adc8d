import { readFileSync, readdirSync } from "node:fs";
import { describe, it } from "vitest";
import { Replay } from "./transcript.ts";
import type { Transcript } from "./transcript.ts";

const DIRECTORY = new URL("../../client/conformance/", import.meta.url);

describe.concurrent("conformance", () => {
  for (const file of readdirSync(DIRECTORY).filter((name) => name.endsWith(".json"))) {
    const transcript = JSON.parse(readFileSync(new URL(file, DIRECTORY), "utf8")) as Transcript;
    for (const over of ["websocket", "sse", "long-poll"] as const) {
      it(`${file.replace(".json", "")} over ${over}`, { timeout: 30_000 }, () => new Replay(transcript, over).run());
    }
  }
});
