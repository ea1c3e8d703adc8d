/** What the application sent while there was no connection. */

interface Queued {
  readonly text: string;
  readonly expiresAt: number;
}

const LIMIT = 64; // a client's own messages are few; more than this waiting means a mistake

export class Outbound {
  #queue: Queued[] = [];

  get size(): number {
    return this.#queue.length;
  }

  /** Keeps the text until `expiresAt` (ms); false when the queue is full. */
  push(text: string, expiresAt: number, now: number): boolean {
    this.#queue = this.#queue.filter((queued) => queued.expiresAt > now);
    if (this.#queue.length >= LIMIT) return false;
    this.#queue.push({ text, expiresAt });
    return true;
  }

  /** Hands over what has not expired, in order. */
  drain(now: number, send: (text: string) => void): void {
    for (const { text, expiresAt } of this.#queue.splice(0)) {
      if (expiresAt > now) send(text);
    }
  }

  clear(): void {
    this.#queue = [];
  }
}
