/** Configuration, then sign-in, then the desk. */

import { WebSocketClient } from "@tapewire/client";
import { TapewireProvider, deskNotifications } from "@tapewire/client/react";
import { QueryClient, QueryClientProvider, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { Layout } from "../layout/Layout.tsx";
import { Button } from "../ui/Button.tsx";
import { Logo } from "../ui/icons.tsx";
import { loadConfig, socketUrls } from "./config.ts";
import type { Config } from "./config.ts";
import { DeskContext } from "./desk.ts";
import { Tokens, identityStore } from "./identity.ts";
import type { Identity } from "./identity.ts";
import { SignIn } from "./SignIn.tsx";

const QUERIES = { retry: 2, retryDelay: 500, staleTime: 30_000, refetchOnWindowFocus: false };

export function App() {
  const [queries] = useState(() => new QueryClient({ defaultOptions: { queries: QUERIES } }));
  return (
    <QueryClientProvider client={queries}>
      <Start />
    </QueryClientProvider>
  );
}

function Start() {
  const config = useQuery({ queryKey: ["config"], queryFn: ({ signal }) => loadConfig(signal), staleTime: Infinity });
  const identity = useSyncExternalStore(identityStore.subscribe, identityStore.get);
  if (config.isPending) return <Splash text="Loading…" />;
  if (config.isError) {
    return (
      <Splash text="The dashboard's server does not answer.">
        <p className="text-muted">{config.error.message}</p>
        <Button kind="primary" onClick={() => void config.refetch()}>
          Try again
        </Button>
      </Splash>
    );
  }
  if (!identity) return <SignIn demo={config.data.demo} />;
  return <SignedIn key={JSON.stringify(identity)} config={config.data} identity={identity} />;
}

function SignedIn({ config, identity }: { config: Config; identity: Identity }) {
  const queries = useQueryClient();
  const { client, notifications, desk } = useMemo(() => {
    const tokens = new Tokens(identity);
    const getToken = ({ reason }: { reason: "connect" | "reconnect" | "refresh" | "expired" }) => tokens.get(reason);
    return {
      client: new WebSocketClient({ url: socketUrls(config), getToken }),
      notifications: deskNotifications({ url: config.desk, getToken }),
      desk: {
        config,
        tokens,
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
      <TapewireProvider client={client} notifications={notifications}>
        <Layout />
      </TapewireProvider>
    </DeskContext>
  );
}

function Splash({ text, children }: { text: string; children?: React.ReactNode }) {
  return (
    <main className="flex min-h-dvh flex-col items-center justify-center gap-3">
      <Logo className="size-8" />
      <p role="status">{text}</p>
      {children}
    </main>
  );
}
