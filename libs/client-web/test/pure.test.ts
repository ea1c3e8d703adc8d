import { describe, expect, it } from "vitest";
import { delayMs } from "../src/backoff.ts";
import { mayReconnect } from "../src/close.ts";
import { Memory } from "../src/memory.ts";
import { parseMessage, qualityOf } from "../src/messages.ts";
import { TRANSITIONS, next } from "../src/state.ts";
import type { ConnectionState, StateEvent } from "../src/state.ts";
import { memoryStore } from "./scene.ts";

describe("states", () => {
  const events: StateEvent[] = ["connect", "welcome", "loss", "cut", "refusal", "disconnect"];
  for (const state of Object.keys(TRANSITIONS) as ConnectionState[]) {
    for (const event of events) {
      it(`${state}_${event}`, () => {
        expect(next(state, event)).toBe(TRANSITIONS[state][event] ?? state);
      });
    }
  }

  it("all_lead_to_idle_by_disconnect", () => {
    const states = Object.keys(TRANSITIONS) as ConnectionState[];
    expect(states.map((state) => next(state, "disconnect"))).toEqual(states.map(() => "idle"));
  });
});

describe("close codes", () => {
  it.each([1001, 1006, 1011, 1012, 4000, 4006, 4099])("%i_reconnects", (code) => {
    expect(mayReconnect(code)).toBe(true);
  });
  it.each([1000, 1002, 1009, 4100, 4500, 4506, 4599])("%i_stops", (code) => {
    expect(mayReconnect(code)).toBe(false);
  });
});

describe("backoff", () => {
  it("is_uniform_below_a_doubling_ceiling_that_ends_at_the_largest", () => {
    expect([0, 1, 2, 5, 6, 1000].map((attempt) => delayMs(attempt, 1))).toEqual([500, 1000, 2000, 16_000, 20_000, 20_000]);
    expect(delayMs(3, 0)).toBe(0);
  });
});

describe("memory", () => {
  it("forgets_the_oldest_past_its_bound", () => {
    const memory = new Memory(null, "k");
    for (let index = 0; index < 1001; index += 1) memory.add(`m-${index}`);
    expect([memory.has("m-0"), memory.has("m-1"), memory.has("m-1000")]).toEqual([false, true, true]);
  });

  it("reads_what_an_earlier_one_wrote_and_survives_junk", () => {
    const kept = new Map<string, string>();
    const memory = new Memory(memoryStore(kept), "k");
    memory.add("m-1");
    memory.flush();
    expect(new Memory(memoryStore(kept), "k").has("m-1")).toBe(true);
    kept.set("k", "{junk");
    expect(new Memory(memoryStore(kept), "k").existed).toBe(false);
  });

  it("goes_on_in_memory_when_the_storage_is_full", () => {
    const full = { ...memoryStore(), setItem: () => { throw new DOMException("full", "QuotaExceededError"); } };
    const memory = new Memory(full, "k");
    memory.add("m-1");
    memory.flush();
    expect(memory.has("m-1")).toBe(true);
  });
});

describe("messages", () => {
  it.each(["", "null", "1", "[1]", "{}", '{"type":1}', "{"])("%j_is_none", (text) => {
    expect(parseMessage(text)).toBeNull();
  });

  it("of_an_unknown_type_count_as_recent", () => {
    expect([qualityOf("market_data"), qualityOf("constructor"), qualityOf("future")]).toEqual(["live", "recent", "recent"]);
  });
});
