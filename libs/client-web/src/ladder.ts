/**
 * WebSocket first, and what stands in for it where none can be opened.
 *
 * What has failed is known by what never said a word: a proxy refuses the upgrade, or swallows it. A
 * close code of the server means that the way is open. The rest is loaded when it is needed.
 */

import { CloseCode } from "./close.ts";
import type { OpenTransport, Transport, TransportEvents, TransportRequest } from "./transport.ts";
import { webSocketUrl } from "./websocket.ts";
import type { WebSocketConstructor } from "./websocket.ts";

export interface FallbackOptions {
  /** How many WebSockets in a row may fail to open before a stream is tried; 2. */
  readonly after?: number;
  /** How long a WebSocket may take to open, ms; 5000. */
  readonly openMs?: number;
  /** When a WebSocket is tried again while something stands in for it, ms; 300000. */
  readonly retryMs?: number;
}

/** What is known of the ways to the server. */
export interface Ladder {
  /** Tries in a row that failed; from `after` on something stands in for WebSocket. */
  failures: number;
  readonly after: number;
  readonly retryMs: number;
  readonly fetch: typeof globalThis.fetch;
  readonly WebSocket: WebSocketConstructor | undefined;
}

export function withFallbacks(
  webSocket: OpenTransport,
  fetch: typeof globalThis.fetch,
  WebSocket: WebSocketConstructor | undefined,
  { after = 2, openMs = 5000, retryMs = 300_000 }: FallbackOptions = {},
): OpenTransport {
  const ladder: Ladder = { failures: 0, after, retryMs, fetch, WebSocket };
  return (request, events) => {
    if (ladder.failures >= after) return standIn(ladder, { ...request, url: webSocketUrl(request.url) }, events);
    let transport: Transport | undefined = undefined;
    ladder.failures += 1; // until something is heard
    const timer = setTimeout(() => {
      ladder.failures = after; // it hangs: the next one would, too
      transport?.close();
      events.closed(1006, "the WebSocket does not open");
    }, openMs);
    const end = (heard: boolean) => {
      clearTimeout(timer);
      if (heard) ladder.failures = 0;
    };
    const opened = (transport = webSocket(request, {
      opened: () => end(false),
      message(text) {
        ladder.failures = 0;
        events.message(text);
      },
      closed(code, reason) {
        end(code >= 4000);
        events.closed(code, reason);
      },
    }));
    return {
      ...opened,
      close(code, reason) {
        end(code !== CloseCode.NO_HEARTBEAT);
        opened.close(code, reason);
      },
    };
  };
}

/** A transport that is loaded first. */
function standIn(ladder: Ladder, request: TransportRequest, events: TransportEvents): Transport {
  let transport: Transport | undefined;
  let unwanted = false;
  import("./fallback/index.ts").then(
    (fallback) => unwanted || (transport = fallback.open(ladder, request, events)),
    () => unwanted || events.closed(1006, "what stands in for a WebSocket could not be loaded"),
  );
  return {
    get name() {
      return transport?.name ?? "sse";
    },
    send: (text) => transport?.send(text) ?? false,
    close() {
      unwanted = true;
      transport?.close();
    },
  };
}
