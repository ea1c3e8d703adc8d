/** The last frames and transitions, for `inspect()` and bug reports. Tokens are left out. */

export interface RecordedFrame {
  readonly at: number;
  readonly direction: "in" | "out";
  readonly text: string;
}

export interface RecordedTransition {
  readonly at: number;
  readonly from: string;
  readonly to: string;
  readonly event: string;
  readonly code: number | null;
}

const FRAMES = 64; // two screens of a terminal: enough to see what led to a loss
const TEXT = 512; // characters of each frame

export class Recorder {
  readonly #frames: RecordedFrame[] = [];
  readonly #transitions: RecordedTransition[] = [];

  frame(at: number, direction: "in" | "out", text: string): void {
    keep(this.#frames, { at, direction, text: text.slice(0, TEXT) });
  }

  transition(transition: RecordedTransition): void {
    keep(this.#transitions, transition);
  }

  frames(): RecordedFrame[] {
    return this.#frames.map((frame) => ({
      ...frame,
      text: frame.text.replace(/"token":"[^"]*("|$)/, '"token":"…"'),
    }));
  }

  transitions(): RecordedTransition[] {
    return [...this.#transitions];
  }
}

function keep<T>(ring: T[], item: T): void {
  ring.push(item);
  if (ring.length > FRAMES) ring.shift();
}
