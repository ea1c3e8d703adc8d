/** The ids of messages that were handled, kept across reloads: what makes handling happen once. */

import type { KeyValueStore } from "./platform.ts";

// A recent tray holds 101 messages and the inbox window of the edge a few hundred: copies older than
// this do not come. 39 bytes each: a write to localStorage stays well under a millisecond.
const LIMIT = 1000;

export class Memory {
  #ids: Set<string>;
  #dirty = false;
  readonly #store: KeyValueStore | null;
  readonly #key: string;
  /** Whether an earlier page or process left something here. */
  readonly existed: boolean;

  constructor(store: KeyValueStore | null, key: string) {
    this.#store = store;
    this.#key = key;
    const kept = read(store, key);
    this.existed = kept !== null;
    this.#ids = new Set(kept);
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  add(id: string): void {
    this.#ids.delete(id);
    this.#ids.add(id);
    if (this.#ids.size > LIMIT) this.#ids.delete(this.#ids.values().next().value!);
    this.#dirty = true;
  }

  /** Writes what is new. A full or forbidden storage costs persistence, nothing else. */
  flush(): void {
    if (!this.#dirty || !this.#store) return;
    try {
      this.#store.setItem(this.#key, JSON.stringify([...this.#ids]));
      this.#dirty = false;
    } catch {
      /* kept in memory; tried again with the next write */
    }
  }

  /** Marks that this device was here, even before it handled anything. */
  open(): void {
    this.#dirty ||= !this.existed;
    this.flush();
  }
}

function read(store: KeyValueStore | null, key: string): string[] | null {
  try {
    const text = store?.getItem(key);
    const value: unknown = text ? JSON.parse(text) : null;
    return Array.isArray(value) ? value.filter((id): id is string => typeof id === "string") : null;
  } catch {
    return null;
  }
}
