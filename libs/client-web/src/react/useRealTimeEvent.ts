import { useEffect, useRef } from "react";
import type { HandlerOptions } from "../handlers.ts";
import type { MessageOf, MessageType } from "../messages.ts";
import { useTapewire } from "./context.ts";

/**
 * Calls `handler` with every event of a type, each once, also of a burst between two renders. Snapshots
 * are state, not events: they are left out. The newest `handler` is called; it need not be memoised.
 * When it returns, an alert counts as acknowledged, unless `useRealTimeNotifications` is in use, which
 * leaves that to a person.
 */
export function useRealTimeEvent<T extends MessageType>(
  type: T,
  handler: (message: MessageOf<T>) => unknown,
  options?: HandlerOptions,
): void {
  const { client } = useTapewire();
  const newest = useRef(handler);
  useEffect(() => {
    newest.current = handler;
  });
  const manualAck = options?.manualAck ?? false;
  useEffect(() => {
    const take = (message: MessageOf<T>) =>
      "snapshot" in message && message.snapshot === true ? undefined : newest.current(message);
    return client.onMessage<MessageType>(type, take as never, { manualAck });
  }, [client, type, manualAck]);
}
