/** Joins what happens between two frames of the screen into one notification. */

export class FrameBatch {
  readonly #run: () => void;
  #handle: number | ReturnType<typeof setTimeout> | null = null;

  constructor(run: () => void) {
    this.#run = run;
  }

  /** Runs once before the next frame; in a hidden tab not before it is shown again. */
  schedule(): void {
    if (this.#handle !== null) return;
    const run = () => {
      this.#handle = null;
      this.#run();
    };
    this.#handle = typeof requestAnimationFrame === "function" ? requestAnimationFrame(run) : setTimeout(run, 16);
  }
}

/** Listeners, and a version that goes up before they are called. */
export class Signal {
  readonly #listeners = new Set<() => void>();

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
