/** What screen readers are told: two regions that are always there, and never about ticks. */

import { useSyncExternalStore } from "react";

type Urgency = "polite" | "assertive";

const words: Record<Urgency, string> = { polite: "", assertive: "" };
const listeners = new Set<() => void>();

export function announce(text: string, urgency: Urgency = "polite"): void {
  // The same words twice are no change to a live region: a no-break space makes them one.
  words[urgency] = words[urgency] === text ? `${text}\u00a0` : text;
  for (const listener of listeners) listener();
}

function useWords(urgency: Urgency): string {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => words[urgency],
  );
}

export function LiveRegions() {
  return (
    <div className="sr-only">
      <div role="status" aria-live="polite" aria-atomic="true">
        {useWords("polite")}
      </div>
      <div role="alert" aria-live="assertive" aria-atomic="true">
        {useWords("assertive")}
      </div>
    </div>
  );
}
