/** Timers by name: setting one again replaces it, and all of them end together. */

const LONGEST_MS = 2 ** 31 - 1; // setTimeout counts in 32 bits and fires at once beyond them

export class Timers<Name extends string> {
  readonly #handles = new Map<Name, ReturnType<typeof setTimeout>>();

  set(name: Name, ms: number, run: () => void): void {
    this.clear(name);
    const handle = setTimeout(
      () => {
        this.#handles.delete(name);
        run();
      },
      Math.min(Math.max(0, ms), LONGEST_MS),
    );
    this.#handles.set(name, handle);
  }

  has(name: Name): boolean {
    return this.#handles.has(name);
  }

  clear(name: Name): void {
    clearTimeout(this.#handles.get(name));
    this.#handles.delete(name);
  }

  clearAll(): void {
    for (const handle of this.#handles.values()) clearTimeout(handle);
    this.#handles.clear();
  }
}
