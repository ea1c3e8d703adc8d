/** What runs in the browser: a client, and components that count what reaches them. */

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { WebSocketClient } from "../../src/index.ts";
import type { ClientOptions } from "../../src/index.ts";
import { TapewireProvider, useRealTimeEvent, useRealTimeMarketData } from "../../src/react/index.ts";

const { now } = Date;
let sleptMs = 0;
Date.now = () => now() + sleptMs;

const seen: string[] = [];
let renders = 0;
let frames = 0;
let price: number | undefined;

function Trades() {
  useRealTimeEvent("trade_executed", ({ id }) => void seen.push(id));
  return null;
}

function Quote() {
  renders += 1;
  price = useRealTimeMarketData(["SPY"]).SPY?.last;
  return null;
}

function make(url: string, options: Partial<ClientOptions> = {}): WebSocketClient {
  return new WebSocketClient({ url, getToken: () => "t", clientId: null, backoff: { firstMs: 20, maxMs: 200 }, ...options });
}

const page = {
  /** Connects; handled alerts are in `seen`. */
  connect(url: string, options?: Partial<ClientOptions>) {
    const client = (page.client = make(url, options));
    client.onMessage("risk_alert", ({ id }) => void seen.push(id));
    return client.connect();
  },
  /** The same with components under StrictMode; trades are in `seen`. */
  mount(url: string) {
    page.client = make(url);
    const root = document.body.appendChild(document.createElement("div"));
    createRoot(root).render(
      <StrictMode>
        <TapewireProvider client={page.client}>
          <Trades />
          <Quote />
        </TapewireProvider>
      </StrictMode>,
    );
    const count = () => {
      frames += 1;
      requestAnimationFrame(count);
    };
    requestAnimationFrame(count);
  },
  /** What is left of a machine's sleep: time went on, timers did not. */
  sleep(ms: number) {
    sleptMs += ms;
    document.dispatchEvent(new Event("visibilitychange"));
  },
  client: null as WebSocketClient | null,
  seen: () => seen,
  info: () => page.client!.info,
  counts: () => ({ renders, frames, price, seen: seen.length }),
};

export type Page = typeof page;
Object.assign(globalThis, { tapewire: page });
