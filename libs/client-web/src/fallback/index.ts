/** What stands in for a WebSocket: a chunk of its own, loaded when it is needed. */

import type { Ladder } from "../ladder.ts";
import type { Transport, TransportEvents, TransportRequest } from "../transport.ts";
import { pollTransport } from "./poll.ts";
import { retry } from "./retry.ts";
import { streamTransport } from "./stream.ts";

const NO_HEARTBEAT = 4003; // not imported: this chunk shares no code with the core, which is loaded first
const STAND_INS = [streamTransport, pollTransport];

/**
 * Opens a stream, or polls where no stream passed either. What works is opened first the next time;
 * when nothing does, the server is likely to be down, and WebSocket is tried again.
 */
export function open(ladder: Ladder, request: TransportRequest, events: TransportEvents): Transport {
  const step = Math.min(ladder.failures - ladder.after, STAND_INS.length - 1);
  let silent = true;
  let stopRetrying = () => {};
  const failed = () => {
    if (silent) ladder.failures = step + 1 < STAND_INS.length ? ladder.after + step + 1 : 0;
    silent = false;
    stopRetrying();
  };
  const transport = STAND_INS[step]!(ladder.fetch)(request, {
    message(text) {
      if (silent) {
        silent = false;
        stopRetrying = retry(request.url, ladder.WebSocket, ladder.retryMs, () => {
          ladder.failures = 0;
          events.better?.();
        });
      }
      events.message(text);
    },
    closed(code, reason) {
      if (code < 4000) failed();
      stopRetrying();
      events.closed(code, reason);
    },
  });
  return {
    name: transport.name,
    send: (text) => transport.send(text),
    close(code, reason) {
      if (code === NO_HEARTBEAT) failed();
      stopRetrying();
      transport.close(code, reason);
    },
  };
}
