import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fileStorage } from "../src/node/index.ts";
import { FakeServer } from "../src/testing/index.ts";
import { Scene, alert, settle } from "./scene.ts";

let directory: string;
let path: string;

beforeEach(() => {
  vi.useFakeTimers();
  directory = mkdtempSync(join(tmpdir(), "tapewire-node-"));
  path = join(directory, "handled.json");
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(directory, { recursive: true, force: true });
});

describe("a_program_in_node", () => {
  it("resumes_after_a_restart_and_handles_nothing_twice", async () => {
    const server = new FakeServer();
    const seen: string[] = [];
    const resumed: (string | undefined)[] = [];
    for (const ids of [["a-1", "a-2"], ["a-2", "a-3"]]) {
      const scene = new Scene({ storage: fileStorage(path), clientId: "exec-1" }, server);
      scene.client.onMessage("risk_alert", ({ id }) => void seen.push(id));
      await scene.connected();
      resumed.push(server.connection.handshake.query.resume);
      for (const id of ids) server.publish(alert(id));
      await settle();
      server.connection.drop(); // killed: nothing is said goodbye to
    }
    expect(seen).toEqual(["a-1", "a-2", "a-3"]);
    expect(resumed).toEqual([undefined, "true"]);
    expect(server.unacked).toEqual([]);
  });

  it("has_an_id_in_the_file_before_its_ack_goes_out", async () => {
    const scene = new Scene({ storage: fileStorage(path), clientId: "exec-1" });
    scene.client.onMessage("risk_alert", () => {});
    await scene.connected();
    const kept: boolean[] = [];
    vi.spyOn(scene.server, "answer").mockImplementation((_, frame) => {
      if (frame.type === "ack") kept.push(readFileSync(path, "utf8").includes("a-1"));
    });
    scene.server.publish(alert("a-1"));
    await settle();
    expect(kept).toEqual([true]);
  });

  it("leaves_some_other_file_alone", () => {
    writeFileSync(path, "not ours");
    expect(() => fileStorage(path)).toThrow("some other file");
    expect(readFileSync(path, "utf8")).toBe("not ours");
  });
});
