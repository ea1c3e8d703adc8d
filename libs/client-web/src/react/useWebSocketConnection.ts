import { useMemo, useSyncExternalStore } from "react";
import { INITIAL } from "../state.ts";
import type { ConnectionInfo } from "../state.ts";
import { useTapewire } from "./context.ts";

export interface UseWebSocketConnection extends ConnectionInfo {
  connect(): Promise<void>;
  disconnect(): void;
  reconnect(): Promise<void>;
}

/** The connection as it stands. Renders when it changes, not with every message. */
export function useWebSocketConnection(): UseWebSocketConnection {
  const { client } = useTapewire();
  const info = useSyncExternalStore(
    useMemo(() => (listener: () => void) => client.onStateChange(listener), [client]),
    () => client.info,
    () => INITIAL,
  );
  return useMemo(
    () => ({
      ...info,
      connect: () => client.connect(),
      disconnect: () => client.disconnect(),
      reconnect: () => client.reconnect(),
    }),
    [client, info],
  );
}
