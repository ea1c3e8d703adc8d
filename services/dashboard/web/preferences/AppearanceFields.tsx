import { setAppearance, useAppearance } from "../app/appearance.ts";
import type { Palette, Theme } from "../app/appearance.ts";
import { Choices } from "./fields.tsx";

const THEMES: readonly (readonly [Theme, string])[] = [
  ["dark", "Dark"],
  ["light", "Light"],
];
const PALETTES: readonly (readonly [Palette, string])[] = [
  ["classic", "Green up, red down"],
  ["red-up", "Red up, green down"],
  ["blue-orange", "Blue up, orange down"],
];

/** Theme and palette; they apply at once. */
export function AppearanceFields() {
  const { theme, palette } = useAppearance();
  return (
    <>
      <Choices legend="Theme" options={THEMES} value={theme} onChange={(value) => setAppearance({ theme: value })} />
      <Choices
        legend="Profit and loss"
        options={PALETTES.map(([option, label]) => [option, <Sample key={option} palette={option} theme={theme} label={label} />] as const)}
        value={palette}
        onChange={(value) => setAppearance({ palette: value })}
      />
    </>
  );
}

/** The palette's own colours, in front of its name. */
function Sample({ palette, theme, label }: { palette: Palette; theme: Theme; label: string }) {
  return (
    <span className="flex items-center gap-1.5">
      <span aria-hidden="true" data-theme={theme} data-palette={palette} className="text-xs">
        <span className="text-up">▲</span>
        <span className="text-down">▼</span>
      </span>
      {label}
    </span>
  );
}
