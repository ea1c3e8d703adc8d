import { FakeServer } from "@tapewire/client/testing";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { alert, answering, settle } from "../testing.tsx";
import { App } from "./App.tsx";
import { Tokens, identityStore } from "./identity.ts";

vi.mock("../charts/DeskChart.tsx", () => ({ DeskChart: () => null })); // draws on a canvas, which is not here

const ANSWERS = {
  "GET /config.json": { edge: ["http://edge"], desk: "http://desk", market: "http://market", demo: { userId: "alice" } },
  "POST /v1/demo/token": { userId: "alice", token: "t-1", expiresIn: 600 },
  "GET http://desk/v1/sessions": {
    sessions: [
      {
        userId: "alice", sessionId: "s-17", status: "active", startedAt: new Date().toISOString(), lossLimit: 1200, symbols: ["SPY"], algorithmId: "momentum",
        data: { currentPnL: -100, equity: 50_000, performanceScore: null },
      },
    ],
  },
  "GET http://desk/v1/decisions": {
    items: [{ type: "algorithm_decision", id: "d-1", timestamp: "2026-01-05T14:30:00Z", userId: "alice", sessionId: "s-17", algorithmId: "momentum", decision: "buy", reasoning: "It went up", confidence: 0.8, marketData: { symbol: "SPY", price: 512.3 } }],
    nextCursor: null,
  },
  "GET http://desk/v1/account": { userId: "alice", dayEnd: "2126-01-06T00:00:00Z", sessions: [] },
  "GET http://desk/v1/notifications": { items: [], nextCursor: null, unreadCount: 0 },
  "GET http://market/v1/quotes": [{ symbol: "SPY" }, { symbol: "QQQ" }],
  "GET http://market/v1/bars/SPY": [],
};

beforeEach(() => {
  identityStore.set(null);
  localStorage.clear();
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

async function signIn(name = "alice") {
  fireEvent.change(await screen.findByLabelText("Trader"), { target: { value: name } });
  fireEvent.click(screen.getByRole("button", { name: "Sign in" }));
  await screen.findByTestId("connection", {}, { timeout: 10_000 }); // the desk's code comes on its own
  await settle(80);
}

describe("the desk", () => {
  it("opens_after_signing_in_and_follows_what_happens", async () => {
    answering(ANSWERS);
    const server = new FakeServer();
    vi.stubGlobal("WebSocket", server.WebSocket);
    render(<App />);
    await signIn();
    expect(server.connection.handshake).toMatchObject({ url: "ws://edge/ws", token: "t-1" });
    expect(server.connection.channels.has("sessions:alice")).toBe(true);
    expect(screen.getByTestId("connection").dataset.state).toBe("connected");
    expect(screen.getByTestId("session").textContent).toContain("−100.00");
    expect(screen.getByTestId("decision").textContent).toContain("It went up");

    server.publish({ type: "market_data", id: "m", timestamp: new Date().toISOString(), symbol: "SPY", last: 513.25, bid: 513.2, ask: 513.3, change: 0.5 });
    server.publish({ type: "session_status", id: "s", timestamp: new Date().toISOString(), userId: "alice", sessionId: "s-17", status: "active", data: { currentPnL: 250.5, equity: 50_250.5, lossLimitUtilization: 0 } });
    server.publish({ type: "algorithm_decision", id: "d-2", timestamp: new Date().toISOString(), userId: "alice", sessionId: "s-17", algorithmId: "momentum", decision: "sell", reasoning: "It went down", confidence: 0.6 });
    await settle();
    expect(screen.getAllByTestId("quote")[0]!.textContent).toContain("513.25");
    expect(screen.getByTestId("session").textContent).toContain("+250.50");
    expect(screen.getAllByTestId("decision").map((row) => /It went (up|down)/.exec(row.textContent!)?.[1])).toEqual(["down", "up"]);
    expect(screen.getByText("50,250.50")).toBeTruthy();
  });

  it("shows_what_is_stale_as_such_while_offline_and_keeps_STOP", async () => {
    answering(ANSWERS);
    const server = new FakeServer();
    vi.stubGlobal("WebSocket", server.WebSocket);
    render(<App />);
    await signIn();
    server.publish(alert("a-1"));
    await settle();
    server.stop();
    await settle();
    expect(screen.getByTestId("connection").dataset.state).toBe("reconnecting");
    expect(screen.getAllByTestId("quote").every((row) => row.dataset.stale === "true")).toBe(true);
    expect(screen.getByTestId<HTMLButtonElement>("stop").disabled).toBe(false);
  });

  it("says_so_when_its_server_does_not_answer", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("failed to fetch")));
    render(<App />);
    expect(screen.getByRole("status").textContent).toBe("Loading…");
    expect(await screen.findByText("The dashboard's server does not answer.", {}, { timeout: 10_000 })).toBeTruthy();
    answering(ANSWERS);
    fireEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(await screen.findByLabelText("Trader")).toBeTruthy();
  });
});

describe("tokens", () => {
  it("are_kept_until_shortly_before_their_end_and_fetched_once_at_a_time", async () => {
    const asked = answering(ANSWERS);
    const tokens = new Tokens({ userId: "alice" });
    await Promise.all([tokens.get("connect"), tokens.get("http")]);
    await tokens.get("reconnect");
    expect(asked).toHaveLength(1);
    await tokens.get("expired");
    expect(asked).toHaveLength(2);
  });

  it("that_are_refused_are_not_asked_for_again", async () => {
    answering({});
    const failure = await new Tokens({ userId: "alice" }).get("connect").catch((error: unknown) => error);
    expect(failure).toMatchObject({ retryable: false });
  });
});
