/** What the hooks share: the client, and what its messages add up to. */

import { createContext, useContext } from "react";
import type { WebSocketClient } from "../client.ts";
import type { DeskApi } from "./desk.ts";
import { AccountStore } from "./stores/account.ts";
import { DecisionStore } from "./stores/decisions.ts";
import { HistoryStore } from "./stores/history.ts";
import { MarketStore } from "./stores/market.ts";
import { NotificationStore } from "./stores/notifications.ts";
import type { NotificationApi } from "./stores/notifications.ts";
import { PreferencesStore } from "./stores/preferences.ts";
import { SessionStore } from "./stores/sessions.ts";

export interface Tapewire {
  readonly client: WebSocketClient;
  readonly market: MarketStore;
  readonly sessions: SessionStore;
  readonly decisions: DecisionStore;
  readonly notifications: NotificationStore;
  readonly preferences: PreferencesStore;
  history(sessionId: string): HistoryStore;
  account(timeZone: string): AccountStore;
}

// One set of stores for each client, however often a provider is rendered or remounted.
const stores = new WeakMap<WebSocketClient, Tapewire>();

export function tapewireOf(client: WebSocketClient, notifications: NotificationApi | null, desk: DeskApi | null): Tapewire {
  let found = stores.get(client);
  if (!found) {
    found = {
      client,
      market: new MarketStore(client),
      sessions: new SessionStore(client),
      decisions: new DecisionStore(client, desk),
      notifications: new NotificationStore(client, notifications ?? desk?.notifications ?? null),
      preferences: new PreferencesStore(client, desk),
      history: each((sessionId) => new HistoryStore(client, desk, sessionId)),
      account: each((timeZone) => new AccountStore(client, desk, timeZone)),
    };
    stores.set(client, found);
  }
  return found;
}

const KEPT = 64; // stores; more sessions than anybody looks at in turn

/** One store for each name, made when it is first asked for; the oldest is forgotten. */
function each<Store>(make: (name: string) => Store): (name: string) => Store {
  const made = new Map<string, Store>();
  return (name) => {
    const store = made.get(name) ?? make(name);
    made.delete(name);
    made.set(name, store); // youngest last
    if (made.size > KEPT) made.delete(made.keys().next().value!);
    return store;
  };
}

export const TapewireContext = createContext<Tapewire | null>(null);

export function useTapewire(): Tapewire {
  const tapewire = useContext(TapewireContext);
  if (!tapewire) throw new Error("Tapewire's hooks need a <TapewireProvider> above them");
  return tapewire;
}
