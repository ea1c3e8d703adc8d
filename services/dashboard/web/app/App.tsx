/** Configuration, then sign-in, then the desk. */

import { QueryClient, QueryClientProvider, useQuery } from "@tanstack/react-query";
import { Suspense, lazy, useState, useSyncExternalStore } from "react";
import { Boundary } from "../ui/Boundary.tsx";
import { Button } from "../ui/Button.tsx";
import { Logo } from "../ui/icons.tsx";
import { loadConfig } from "./config.ts";
import { identityStore } from "./identity.ts";
import { SignIn } from "./SignIn.tsx";

// The desk is most of the code: it is fetched beside the configuration, and while somebody signs in.
const signedIn = import("./SignedIn.tsx");
const SignedIn = lazy(() => signedIn.then((module) => ({ default: module.SignedIn })));

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
  return (
    <Boundary name="The desk">
      <Suspense fallback={<Splash text="Loading…" />}>
        <SignedIn key={JSON.stringify(identity)} config={config.data} identity={identity} />
      </Suspense>
    </Boundary>
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
