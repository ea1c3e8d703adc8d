import { useWebSocketConnection } from "@tapewire/client/react";
import { setAppearance, useAppearance } from "../app/appearance.ts";
import type { Palette, Theme } from "../app/appearance.ts";
import { useDesk } from "../app/desk.ts";
import { Button } from "../ui/Button.tsx";
import { Gear } from "../ui/icons.tsx";

const THEMES: readonly (readonly [Theme, string])[] = [
  ["dark", "Dark"],
  ["light", "Light"],
];
const PALETTES: readonly (readonly [Palette, string])[] = [
  ["classic", "Green up, red down"],
  ["red-up", "Red up, green down"],
  ["blue-orange", "Blue up, orange down"],
];

/** Who is signed in, and how things look. */
export function Menu() {
  const { userId } = useWebSocketConnection();
  const { signOut } = useDesk();
  const { theme, palette } = useAppearance();
  return (
    <>
      <button
        type="button"
        popoverTarget="menu"
        className="hover:bg-raised text-text hover:text-strong flex h-8 items-center gap-1.5 rounded px-2"
      >
        <Gear />
        <span className="max-w-32 truncate max-sm:sr-only">{userId ?? "…"}</span>
      </button>
      <div
        id="menu"
        popover="auto"
        className="bg-raised border-line text-text fixed inset-auto top-12 right-3 m-0 w-60 rounded-md border p-3 shadow-(--shadow)"
      >
        <Choice name="theme" legend="Theme" options={THEMES} value={theme} onChange={(value) => setAppearance({ theme: value })} />
        <Choice
          name="palette"
          legend="Profit and loss"
          options={PALETTES}
          value={palette}
          onChange={(value) => setAppearance({ palette: value })}
        />
        <Button className="mt-1 w-full" onClick={signOut}>
          Sign out
        </Button>
      </div>
    </>
  );
}

function Choice<T extends string>({
  name,
  legend,
  options,
  value,
  onChange,
}: {
  name: string;
  legend: string;
  options: readonly (readonly [T, string])[];
  value: T;
  onChange: (value: T) => void;
}) {
  return (
    <fieldset className="mb-3">
      <legend className="text-muted mb-1 text-xs">{legend}</legend>
      {options.map(([option, label]) => (
        <label key={option} className="hover:text-strong flex h-7 cursor-pointer items-center gap-2">
          <input
            type="radio"
            name={name}
            className="accent-link"
            checked={value === option}
            onChange={() => onChange(option)}
          />
          {label}
        </label>
      ))}
    </fieldset>
  );
}
