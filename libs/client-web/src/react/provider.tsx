/** Puts a client within reach of the hooks. */

import { useEffect, useMemo } from "react";
import type { ReactNode } from "react";
import type { WebSocketClient } from "../client.ts";
import { TapewireContext, tapewireOf } from "./context.ts";
import type { DeskApi } from "./desk.ts";
import type { NotificationApi } from "./stores/notifications.ts";

export interface TapewireProviderProps {
  /** Made once, outside of any component. */
  readonly client: WebSocketClient;
  /** Where history, read marks and preferences live (`deskApi`); without: what arrives, in memory. */
  readonly desk?: DeskApi;
  /** Notification history of another place than `desk`. */
  readonly notifications?: NotificationApi;
  /** False: you call `connect()` and `disconnect()` yourself. */
  readonly connect?: boolean;
  readonly children?: ReactNode;
}

const holders = new WeakMap<WebSocketClient, number>();

/** Connects while anybody holds on; StrictMode's unmount and remount in one turn goes unnoticed. */
function hold(client: WebSocketClient): () => void {
  holders.set(client, (holders.get(client) ?? 0) + 1);
  client.connect().catch(() => {}); // the state tells
  return () => {
    holders.set(client, (holders.get(client) ?? 1) - 1);
    setTimeout(() => {
      if (holders.get(client) === 0) client.disconnect();
    });
  };
}

export function TapewireProvider({ client, desk, notifications, connect = true, children }: TapewireProviderProps) {
  const tapewire = useMemo(
    () => tapewireOf(client, notifications ?? null, desk ?? null),
    [client, notifications, desk],
  );
  useEffect(() => (connect ? hold(client) : undefined), [client, connect]);
  return <TapewireContext.Provider value={tapewire}>{children}</TapewireContext.Provider>;
}
