import { readFileSync, readdirSync } from "node:fs";
import { expect, it } from "vitest";
import { generate, TARGET } from "../scripts/generate.mjs";
import { isKnown } from "../src/messages.ts";

it("types_are_what_the_schema_says", async () => {
  expect(await generate(), "run `npm run generate`").toBe(readFileSync(TARGET, "utf8"));
});

it("every_golden_example_that_clients_see_is_of_a_known_type", () => {
  const directory = new URL("../../contracts/examples/", import.meta.url);
  const types = readdirSync(directory).map((name) => JSON.parse(readFileSync(new URL(name, directory), "utf8")).type);
  const busOnly = ["alert_acknowledged", "emergency_stop_requested", "emergency_stop_acknowledged"];
  expect(types.filter((type) => !isKnown(type)).sort()).toEqual(busOnly.sort());
});
