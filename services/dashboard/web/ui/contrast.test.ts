/** Every colour of text can be read on everything that it may stand on: WCAG 2.2, 1.4.3 (AA). */

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const WEB = join(import.meta.dirname, "..");
const CSS = readFileSync(join(WEB, "style.css"), "utf8");
const SOURCES = readdirSync(WEB, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".tsx"))
  .map((name) => readFileSync(join(WEB, name), "utf8"));

const AA = 4.5;
const LOOKS = ["dark", "light"].flatMap((theme) => ["classic", "red-up", "blue-orange"].map((palette) => [theme, palette] as const));
const TEXTS = ["text", "strong", "muted", "link", "warning", "critical-text", "up", "down"];
const PLAIN = ["canvas", "panel", "raised"];
const SURFACES = new Set(["link", "raised"]); // tints of whole rows and cards: any text stands on them
const WHITE_ON = ["#b91c1c", "#9f1f1f"]; // emergency; the banner without one

type Colour = readonly [number, number, number];

/** The tokens of a look, as the cascade leaves them. */
function tokens(theme: string, palette: string): Map<string, Colour> {
  const found = new Map<string, Colour>();
  for (const selector of [`[data-theme="${theme}"]`, `[data-theme="${theme}"][data-palette="${palette}"]`]) {
    const block = CSS.split(`\n${selector} {`)[1]?.split("}")[0] ?? "";
    for (const [, name, value] of block.matchAll(/--([\w-]+):\s*(#[\da-f]{6}|rgb\(\d+ \d+ \d+\));/gi)) found.set(name!, parsed(value!));
  }
  return found;
}

function parsed(value: string): Colour {
  const parts = value.startsWith("#") ? value.slice(1).match(/../g)!.map((pair) => parseInt(pair, 16)) : value.match(/\d+/g)!.map(Number);
  return parts as unknown as Colour;
}

const over = (top: Colour, below: Colour, alpha: number) => top.map((part, i) => part * alpha + below[i]! * (1 - alpha)) as unknown as Colour;

function luminance(colour: Colour): number {
  const [r, g, b] = colour.map((part) => (part <= 10.31 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: Colour, b: Colour): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light! + 0.05) / (dark! + 0.05);
}

/** `bg-link/8` and the like, wherever a component says so: [token, alpha]. */
const TINTS = [...new Set(SOURCES.flatMap((source) => source.match(/(?<=\bbg-)[a-z]+\/\d+/g) ?? []))]
  .map((tint) => tint.split("/") as [string, string])
  .filter(([token]) => token !== "black" && token !== "white")
  .map(([token, percent]) => [token, Number(percent) / 100] as const);

describe.each(LOOKS)("%s, %s", (theme, palette) => {
  const colours = tokens(theme, palette);
  const of = (name: string) => colours.get(name) ?? expect.fail(`--${name} is not a colour`);

  it("all_text_can_be_read_on_all_surfaces_and_tints", () => {
    const failures: string[] = [];
    const check = (text: string, surface: string, below: Colour) => {
      const ratio = contrast(of(text), below);
      if (ratio < AA) failures.push(`${text} on ${surface}: ${ratio.toFixed(2)}`);
    };
    for (const surface of PLAIN) for (const text of TEXTS) check(text, surface, of(surface));
    for (const [token, alpha] of TINTS) {
      const texts = SURFACES.has(token) ? TEXTS : [token, "text", "strong"];
      for (const text of texts) check(text, `${token}/${alpha * 100} over panel`, over(of(token), of("panel"), alpha));
    }
    expect(failures).toEqual([]);
  });

  it("a_price_can_be_read_while_its_cell_flashes", () => {
    const alpha = Number(/--flash\) (\d+)%/.exec(CSS)![1]) / 100;
    const rows = [of("panel"), of("raised"), over(of("link"), of("panel"), 0.08)];
    for (const row of rows) for (const flash of ["up", "down"]) expect(contrast(of("strong"), over(of(flash), row, alpha))).toBeGreaterThan(AA);
  });
});

it("white_can_be_read_on_what_warns_and_on_every_button_also_under_the_pointer", () => {
  const buttons = readFileSync(join(WEB, "ui/Button.tsx"), "utf8").match(/(?<=bg-\[)#[\da-f]{6}/g)!;
  const white: Colour = [255, 255, 255];
  const pressed = WHITE_ON.map((colour) => over(white, parsed(colour), 0.15)); // the banner's button under the pointer
  for (const colour of [...[...WHITE_ON, ...buttons].map(parsed), ...pressed]) expect(contrast(white, colour)).toBeGreaterThan(AA);
});

it("the_tints_of_the_components_are_found", () => {
  expect(TINTS.map(([token]) => token)).toEqual(expect.arrayContaining(["link", "raised", "up", "down"]));
});
