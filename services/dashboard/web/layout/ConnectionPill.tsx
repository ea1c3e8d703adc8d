import { useWebSocketConnection } from "@tapewire/client/react";
import type { ConnectionInfo } from "@tapewire/client";
import { useEffect, useRef } from "react";
import { ago, duration } from "../ui/format.ts";
import { announce } from "../ui/live.tsx";
import { useNow } from "../ui/useNow.ts";

interface Look {
  readonly text: string;
  readonly dot: string;
  readonly detail: string;
  readonly action: string | null;
}

const TRANSPORTS = { websocket: "WebSocket", sse: "SSE", "long-poll": "long-poll" } as const;

/** How a connection looks to a person. Pure. */
export function look(info: ConnectionInfo, now: number): Look {
  const latency = info.latencyMs === null ? "" : ` · ${Math.max(1, Math.round(info.latencyMs))} ms`;
  const wait = info.nextRetryAt === null ? null : Math.max(0, Math.ceil((info.nextRetryAt - now) / 1000));
  switch (info.state) {
    case "connected":
      return info.isStale
        ? { text: "Silent", dot: "bg-warning animate-pulse", detail: "no sign of life", action: null }
        : { text: "Live", dot: "bg-up", detail: `${TRANSPORTS[info.transport ?? "websocket"]}${latency}`, action: null };
    case "connecting":
      return { text: "Connecting", dot: "bg-warning animate-pulse", detail: "", action: null };
    case "reconnecting":
      return {
        text: "Reconnecting",
        dot: "bg-warning animate-pulse",
        detail: [info.reason, wait ? `next try in ${duration(wait)}` : ""].filter(Boolean).join(" · "),
        action: wait ? "Retry now" : null,
      };
    case "offline":
      return { text: "Offline", dot: "bg-critical", detail: "no network", action: "Retry now" };
    case "failed":
      return { text: "Disconnected", dot: "bg-critical", detail: info.reason ?? "", action: "Reconnect" };
    case "idle":
      return { text: "Not connected", dot: "bg-muted", detail: "", action: "Connect" };
  }
}

const SPOKEN: Partial<Record<ConnectionInfo["state"], string>> = {
  reconnecting: "Connection lost. Reconnecting.",
  offline: "Offline. Figures are no longer current.",
  failed: "Disconnected.",
};

export function ConnectionPill() {
  const connection = useWebSocketConnection();
  const now = useNow();
  const { text, dot, detail, action } = look(connection, now);
  const { state, lastEventAt } = connection;

  const before = useRef(state);
  useEffect(() => {
    const was = before.current;
    before.current = state;
    if (was === state) return;
    if (state === "connected" && was !== "connecting" && was !== "idle") announce("Connected again.");
    else if (SPOKEN[state] && SPOKEN[was] === undefined) announce(SPOKEN[state]);
  }, [state]);

  return (
    <div className="flex min-w-0 items-center gap-2 text-xs">
      <span
        className="bg-raised border-line flex h-6 min-w-0 items-center gap-1.5 rounded-full border px-2.5"
        data-testid="connection"
        data-state={state}
      >
        <span aria-hidden="true" className={`size-2 shrink-0 rounded-full ${dot}`} />
        <span className="text-strong font-medium">{text}</span>
        {detail && <span className="text-muted hidden truncate tabular-nums sm:inline">{detail}</span>}
      </span>
      {action && (
        <button type="button" className="text-link h-6 font-medium hover:underline" onClick={() => void connection.reconnect().catch(() => {})}>
          {action}
        </button>
      )}
      {lastEventAt !== null && (
        <span className={`hidden tabular-nums xl:inline ${connection.isStale ? "text-warning" : "text-muted"}`}>
          last event {ago(lastEventAt, now)}
        </span>
      )}
    </div>
  );
}
