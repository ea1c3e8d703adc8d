/** What the client takes from where it runs: time, chance, storage, signals of the browser. */

/** The part of `Storage` that is used. */
export type KeyValueStore = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export type WakeSignal = "online" | "offline" | "visible" | "hide";

export interface Platform {
  now(): number;
  /** Uniform in [0, 1). */
  random(): number;
  /** A fresh id: any text that nobody else makes. */
  newId(): string;
  readonly storage: KeyValueStore | null;
  /** Lives as long as this tab, across reloads. */
  readonly tabStorage: KeyValueStore | null;
  readonly locks: Pick<LockManager, "request"> | null;
  isOnline(): boolean;
  /** Calls back on each signal until the returned function is called. */
  onSignal(callback: (signal: WakeSignal) => void): () => void;
}

function storageNamed(name: "localStorage" | "sessionStorage"): KeyValueStore | null {
  try {
    // Reading the property itself throws where site data is blocked, and Node warns about it.
    return typeof window === "undefined" ? null : window[name];
  } catch {
    return null;
  }
}

function newId(): string {
  if ("randomUUID" in crypto) return crypto.randomUUID(); // secure contexts only
  return Array.from({ length: 4 }, () => Math.random().toString(36).slice(2, 10)).join("");
}

export function browserPlatform(): Platform {
  return {
    now: Date.now,
    random: Math.random,
    newId,
    storage: storageNamed("localStorage"),
    tabStorage: storageNamed("sessionStorage"),
    locks: typeof navigator === "undefined" ? null : (navigator.locks ?? null),
    isOnline: () => typeof navigator === "undefined" || navigator.onLine !== false,
    onSignal(callback) {
      if (typeof window === "undefined") return () => {};
      const stop = new AbortController();
      const on = (target: EventTarget, event: string, signal: () => WakeSignal) =>
        target.addEventListener(event, () => callback(signal()), { signal: stop.signal });
      on(window, "online", () => "online");
      on(window, "offline", () => "offline");
      on(window, "pagehide", () => "hide");
      on(document, "visibilitychange", () => (document.visibilityState === "visible" ? "visible" : "hide"));
      return () => stop.abort();
    },
  };
}
