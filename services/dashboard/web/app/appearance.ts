/** Theme and palette, kept in the browser; public/theme.js sets them before the first paint. */

import { useSyncExternalStore } from "react";

export type Theme = "dark" | "light";
export type Palette = "classic" | "red-up" | "blue-orange";

export interface Appearance {
  readonly theme: Theme;
  readonly palette: Palette;
}

const KEY = "tapewire.appearance";
const listeners = new Set<() => void>();
const { dataset } = document.documentElement;
let current: Appearance = {
  theme: dataset.theme === "light" ? "light" : "dark",
  palette: (dataset.palette as Palette | undefined) ?? "classic",
};

export function setAppearance(change: Partial<Appearance>): void {
  current = { ...current, ...change };
  Object.assign(dataset, current);
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // kept until the page is closed
  }
  for (const listener of listeners) listener();
}

export function useAppearance(): Appearance {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}
