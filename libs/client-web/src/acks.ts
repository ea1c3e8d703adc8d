/** Acks on their way out: the first at once, those that follow joined. */

const JOIN_MS = 100; // at most ten frames a second: half of what the server's rate limit allows
const FRAME = 1000; // ids in one frame: the protocol's limit

export class Acks {
  readonly #send: (ids: string[]) => void;
  #ids = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(send: (ids: string[]) => void) {
    this.#send = send;
  }

  add(id: string): void {
    this.#ids.add(id);
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.flush();
    }, JOIN_MS);
    // With what else this turn brings (several messages, one call of ack with many ids).
    queueMicrotask(() => this.flush());
  }

  flush(): void {
    const ids = [...this.#ids];
    this.#ids = new Set();
    for (let start = 0; start < ids.length; start += FRAME) this.#send(ids.slice(start, start + FRAME));
  }
}
