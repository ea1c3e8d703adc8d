/** Stops that were ordered from this page: its trader knows of them before the alert comes. */

import type { Notification } from "@tapewire/client/react";

export class OwnStops {
  readonly #sessions = new Set<string>();

  ordered(sessionId: string): void {
    this.#sessions.add(sessionId);
  }

  /** Whether this alert says no more than what `userId` has just ordered here. */
  tells({ message }: Notification, userId: string | null): boolean {
    return message.type === "emergency_stop" && message.requestedBy === userId && this.#sessions.has(message.sessionId);
  }
}
