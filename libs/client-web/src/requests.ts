/** Requests and their replies, told apart by `id`. */

import type { ErrorFrame } from "./contracts.gen.ts";
import { RequestRefused, Timeout } from "./errors.ts";
import type { TapewireError } from "./errors.ts";

interface Pending {
  resolve(reply: never): void;
  reject(error: TapewireError): void;
  readonly timer: ReturnType<typeof setTimeout>;
}

const TIMEOUT_MS = 10_000; // the edge answers at once, or after a publish with a deadline of 5 s

export class Requests {
  readonly #pending = new Map<unknown, Pending>();
  #lastId = 0;

  get size(): number {
    return this.#pending.size;
  }

  /** Sends the frame that `make` returns for a fresh id; resolves with its reply. */
  start<Reply>(send: (id: number) => void): Promise<Reply> {
    const id = ++this.#lastId;
    return new Promise<Reply>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new Timeout());
      }, TIMEOUT_MS);
      this.#pending.set(id, { resolve, reject, timer });
      send(id);
    });
  }

  /** Hands a reply to whoever asked; false when nobody did. */
  settle(frame: { readonly type: string; readonly id?: unknown }): boolean {
    const pending = this.#pending.get(frame.id);
    if (!pending) return false;
    this.#pending.delete(frame.id);
    clearTimeout(pending.timer);
    if (frame.type === "error") {
      const { code, message, retryable, retryAfterMs } = frame as unknown as ErrorFrame;
      pending.reject(new RequestRefused(code, message, retryable, retryAfterMs ?? null));
    } else {
      pending.resolve(frame as never);
    }
    return true;
  }

  failAll(error: TapewireError): void {
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(error);
    }
    this.#pending.clear();
  }
}
