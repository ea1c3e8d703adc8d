/**
 * From the socket to the handlers: each message once, in order, acked after its handlers.
 *
 * An id is *handled* when every handler has returned; then it is remembered, then acked. A copy of a
 * handled id is acked again and not handed on. A handler that throws leaves the id neither remembered
 * nor acked, so the server sends it again. A message that wants an ack and has no handler waits here
 * for one. Live values and snapshots are handed on every time.
 */

import { Handlers } from "./handlers.ts";
import type { HandlerOptions, Handler } from "./handlers.ts";
import type { Memory } from "./memory.ts";
import { isKnown, qualityOf } from "./messages.ts";

interface Incoming {
  readonly type: string;
  readonly id?: unknown;
  readonly ack?: unknown;
  readonly snapshot?: unknown;
}

export interface IntakePorts {
  readonly autoAck: boolean;
  memory(): Memory;
  /** Sends an ack for the id, if there is a connection; a copy of the message asks for it again. */
  ack(id: string): void;
  /** A handler threw. */
  onError(error: unknown, message: { type: string }): void;
}

export class Intake {
  readonly handlers = new Handlers();
  readonly #ports: IntakePorts;
  readonly #queue: Incoming[] = [];
  /** Ids that wait in the queue, are with a handler, or wait for the application's ack. */
  readonly #open = new Set<string>();
  /** Messages that want an ack and found no handler. */
  readonly #unclaimed = new Map<string, Incoming>();
  #busy = false;

  constructor(ports: IntakePorts) {
    this.#ports = ports;
  }

  /** How many messages wait for a handler to return. */
  get waiting(): number {
    return this.#queue.length;
  }

  accept(message: Incoming): void {
    const id = trackedId(message);
    if (id !== null) {
      if (this.#ports.memory().has(id)) {
        if (message.ack === true) this.#ports.ack(id);
        return;
      }
      if (this.#open.has(id)) return;
      this.#open.add(id);
    }
    this.#queue.push(message);
    this.#pump();
  }

  on(type: string, handler: Handler<never>, options?: HandlerOptions): () => void {
    const off = this.handlers.add(type, handler, options);
    if (this.#unclaimed.size > 0) queueMicrotask(() => this.#offer());
    return off;
  }

  /** The application acknowledges: remembered, then acked. */
  acknowledge(id: string): void {
    this.settle(id);
    this.#ports.ack(id);
  }

  /** The id is settled, here or on another device of the user. */
  settle(id: string): void {
    this.#ports.memory().add(id);
    this.#open.delete(id);
    this.#unclaimed.delete(id);
  }

  #offer(): void {
    for (const [id, message] of this.#unclaimed) {
      if (this.handlers.for(message.type).length === 0) continue;
      this.#unclaimed.delete(id);
      this.#queue.push(message);
    }
    this.#pump();
  }

  #pump(): void {
    if (this.#busy) return;
    this.#busy = true;
    while (this.#queue.length > 0) {
      const wait = this.#hand(this.#queue.shift()!);
      if (wait) {
        void wait.then(() => {
          this.#busy = false;
          this.#pump();
        });
        return;
      }
    }
    this.#busy = false;
  }

  /** Calls the handlers; a promise if one of them needs to be awaited. It never rejects. */
  #hand(message: Incoming): Promise<void> | null {
    const registrations = this.handlers.for(message.type);
    const unknown = isKnown(message.type) ? [] : this.handlers.unknown();
    const waits: Promise<unknown>[] = [];
    let threw = false;
    const failed = (error: unknown) => {
      threw = true;
      this.#ports.onError(error, message);
    };
    for (const handler of [...unknown, ...registrations.map((registration) => registration.handler)]) {
      try {
        const result = handler(message as never);
        if (isThenable(result)) waits.push(Promise.resolve(result).catch(failed));
      } catch (error) {
        failed(error);
      }
    }
    const manual = !this.#ports.autoAck || registrations.some((registration) => registration.manualAck);
    const done = () => this.#done(message, registrations.length > 0, threw, manual);
    if (waits.length > 0) return Promise.all(waits).then(done);
    done();
    return null;
  }

  #done(message: Incoming, taken: boolean, threw: boolean, manual: boolean): void {
    const id = trackedId(message);
    if (id === null || this.#ports.memory().has(id)) {
      if (id !== null && message.ack === true) this.#ports.ack(id);
      return;
    }
    if (threw) {
      this.#open.delete(id);
    } else if (message.ack !== true) {
      this.#open.delete(id);
      if (taken) this.#ports.memory().add(id);
    } else if (!taken) {
      this.#unclaimed.set(id, message);
    } else if (!manual) {
      this.acknowledge(id);
    }
  }
}

function trackedId(message: Incoming): string | null {
  const { id, type, snapshot } = message;
  return typeof id === "string" && snapshot !== true && qualityOf(type) !== "live" ? id : null;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
