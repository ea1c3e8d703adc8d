/** Who wants which messages. */

import type { Message, MessageOf, MessageType, UnknownMessage } from "./messages.ts";

/** Takes one message. What it returns is awaited: until then the messages behind wait, and the ack too. */
export type Handler<M = Message | UnknownMessage> = (message: M) => unknown;
export type HandlerFor<T extends MessageType | "*"> = T extends MessageType ? Handler<MessageOf<T>> : Handler;

export interface HandlerOptions {
  /** The message counts as acknowledged once `client.ack(id)` says so, not when the handler returns. */
  readonly manualAck?: boolean;
}

interface Registration extends HandlerOptions {
  readonly type: string;
  readonly handler: Handler<never>;
}

export class Handlers {
  #all: readonly Registration[] = [];
  #unknown: readonly Handler<UnknownMessage>[] = [];

  add(type: string, handler: Handler<never>, options: HandlerOptions = {}): () => void {
    const registration = { type, handler, ...options };
    this.#all = [...this.#all, registration];
    return () => {
      this.#all = this.#all.filter((other) => other !== registration);
    };
  }

  addUnknown(handler: Handler<UnknownMessage>): () => void {
    this.#unknown = [...this.#unknown, handler];
    return () => {
      this.#unknown = this.#unknown.filter((other) => other !== handler);
    };
  }

  remove(type: string, handler: Handler<never>): void {
    this.#all = this.#all.filter((other) => other.type !== type || other.handler !== handler);
  }

  for(type: string): readonly Registration[] {
    return this.#all.filter((registration) => registration.type === type || registration.type === "*");
  }

  unknown(): readonly Handler<UnknownMessage>[] {
    return this.#unknown;
  }
}
