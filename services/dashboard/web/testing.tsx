/** A desk on a fake server, for the tests beside the components. */

import { WebSocketClient } from "@tapewire/client";
import { TapewireProvider } from "@tapewire/client/react";
import { FakeServer } from "@tapewire/client/testing";
import type { FakeServerOptions } from "@tapewire/client/testing";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, render } from "@testing-library/react";
import type { ReactNode } from "react";
import { vi } from "vitest";
import { DeskContext } from "./app/desk.ts";
import { Tokens } from "./app/identity.ts";
import { OwnStops } from "./stop/own.ts";

export async function stage(children: ReactNode, options: FakeServerOptions = {}) {
  const server = new FakeServer(options);
  const client = new WebSocketClient({
    url: "ws://edge/ws",
    getToken: () => "t-1",
    WebSocket: server.WebSocket,
    storage: null,
    platform: { random: () => 1 },
  });
  const desk = {
    config: { edge: ["http://edge-1", "http://edge-2"], desk: "http://desk", market: "http://market", demo: null },
    tokens: new Tokens({ token: "t-1" }),
    ownStops: new OwnStops(),
    signOut: vi.fn(),
  };
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const view = render(
    <QueryClientProvider client={queries}>
      <DeskContext value={desk}>
        <TapewireProvider client={client}>{children}</TapewireProvider>
      </DeskContext>
    </QueryClientProvider>,
  );
  await settle();
  return { server, client, desk, ...view };
}

/** Lets what is due happen, frames included. */
export function settle(ms = 40): Promise<void> {
  return act(() => new Promise<void>((resolve) => setTimeout(resolve, ms)));
}

type Answer = unknown | ((init: RequestInit | undefined) => Response);

/** Answers requests by `METHOD url`; everything else with 404. Returns what was asked, in order. */
export function answering(answers: Record<string, Answer>): { key: string; body: unknown }[] {
  const asked: { key: string; body: unknown }[] = [];
  vi.stubGlobal("fetch", async (url: string, init?: RequestInit) => {
    const key = `${init?.method ?? "GET"} ${url}`;
    asked.push({ key, body: typeof init?.body === "string" ? JSON.parse(init.body) : undefined });
    const found = Object.entries(answers).find(([pattern]) => key === pattern || key.startsWith(`${pattern}?`));
    if (!found) return new Response('{"message":"not found"}', { status: 404 });
    return typeof found[1] === "function" ? found[1](init) : Response.json(found[1]);
  });
  return asked;
}

export function alert(id: string, fields: object = {}) {
  return {
    type: "risk_alert",
    id,
    timestamp: new Date().toISOString(),
    userId: "alice",
    sessionId: "s-17",
    alertLevel: "critical",
    alertType: "loss_limit",
    message: `Loss limit (${id})`,
    currentValue: 92.1,
    threshold: 90,
    ack: true,
    ...fields,
  };
}
