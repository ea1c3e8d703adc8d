/** Long polling: for where streams do not pass. The cursor of the next poll proves receipt of the last. */

import type { OpenTransport } from "../transport.ts";
import { Line, pause } from "./line.ts";

interface Batch {
  readonly cursor: number;
  readonly messages: readonly object[];
  readonly close?: { readonly code: number; readonly reason: string };
}

const TRIES = 4; // a proxy may cut a request that waits, more than once in a row
const AGAIN_MS = 500;

export function pollTransport(fetch: typeof globalThis.fetch): OpenTransport {
  return (request, events) => {
    const line = new Line(fetch, request, events);
    void poll(line, request.query);
    return { name: "long-poll", send: (text) => line.send(text), close: () => line.close() };
  };
}

async function poll(line: Line, opening: Readonly<Record<string, string>>): Promise<void> {
  let failures = 0;
  while (!line.ended) {
    const opened = "connectionId" in line.query;
    const query = opened ? { ...line.query, cursor: String(line.received) } : opening;
    const response = await line.request("poll", query).catch(() => null);
    if (response && !response.ok && (response.status < 500 || !opened)) return line.refused(response);
    const batch = response?.ok ? ((await response.json().catch(() => null)) as Batch | null) : null;
    if (Array.isArray(batch?.messages)) {
      failures = 0;
      take(line, batch as Batch);
    } else if (!opened || (failures += 1) === TRIES) {
      return line.lost(1006, "polls are not answered");
    } else {
      await pause(AGAIN_MS);
    }
  }
}

function take(line: Line, batch: Batch): void {
  line.received = batch.cursor;
  for (const message of batch.messages) line.message(JSON.stringify(message));
  if (batch.close) line.lost(batch.close.code, batch.close.reason);
}
