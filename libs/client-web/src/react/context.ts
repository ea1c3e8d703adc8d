/** What the hooks share: the client, and what its messages add up to. */

import { createContext, useContext } from "react";
import type { WebSocketClient } from "../client.ts";
import { DecisionStore } from "./stores/decisions.ts";
import { MarketStore } from "./stores/market.ts";
import { NotificationStore } from "./stores/notifications.ts";
import type { NotificationApi } from "./stores/notifications.ts";
import { SessionStore } from "./stores/sessions.ts";

export interface Tapewire {
  readonly client: WebSocketClient;
  readonly market: MarketStore;
  readonly sessions: SessionStore;
  readonly decisions: DecisionStore;
  readonly notifications: NotificationStore;
}

// One set of stores for each client, however often a provider is rendered or remounted.
const stores = new WeakMap<WebSocketClient, Tapewire>();

export function tapewireOf(client: WebSocketClient, api: NotificationApi | null): Tapewire {
  let found = stores.get(client);
  if (!found) {
    found = {
      client,
      market: new MarketStore(client),
      sessions: new SessionStore(client),
      decisions: new DecisionStore(client),
      notifications: new NotificationStore(client, api),
    };
    stores.set(client, found);
  }
  return found;
}

export const TapewireContext = createContext<Tapewire | null>(null);

export function useTapewire(): Tapewire {
  const tapewire = useContext(TapewireContext);
  if (!tapewire) throw new Error("Tapewire's hooks need a <TapewireProvider> above them");
  return tapewire;
}
