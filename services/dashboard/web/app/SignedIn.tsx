/** A signed-in user's client, and the desk around it. */

import { WebSocketClient } from "@tapewire/client";
import { TapewireProvider, deskApi } from "@tapewire/client/react";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { Layout } from "../layout/Layout.tsx";
import { OwnStops } from "../stop/own.ts";
import { socketUrls } from "./config.ts";
import type { Config } from "./config.ts";
import { DeskContext } from "./desk.ts";
import { Tokens, identityStore } from "./identity.ts";
import type { Identity } from "./identity.ts";

export function SignedIn({ config, identity }: { config: Config; identity: Identity }) {
  const queries = useQueryClient();
  const { client, api, desk } = useMemo(() => {
    const tokens = new Tokens(identity);
    const getToken = ({ reason }: { reason: "connect" | "reconnect" | "refresh" | "expired" }) => tokens.get(reason);
    return {
      client: new WebSocketClient({ url: socketUrls(config), getToken }),
      api: deskApi({ url: config.desk, getToken }),
      desk: {
        config,
        tokens,
        ownStops: new OwnStops(),
        signOut() {
          queries.clear();
          identityStore.set(null);
        },
      },
    };
  }, [config, identity, queries]);

  useEffect(() => {
    // For whoever looks into it with the browser's tools: tapewire.inspect().
    Object.assign(globalThis, { tapewire: client });
  }, [client]);

  return (
    <DeskContext value={desk}>
      <TapewireProvider client={client} desk={api}>
        <Layout />
      </TapewireProvider>
    </DeskContext>
  );
}
