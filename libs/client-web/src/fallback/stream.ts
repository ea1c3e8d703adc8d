/** Server-sent events over `fetch`: unlike `EventSource` it can carry a token in a header. */

import type { OpenTransport } from "../transport.ts";
import { Line } from "./line.ts";

export function streamTransport(fetch: typeof globalThis.fetch): OpenTransport {
  return (request, events) => {
    const line = new Line(fetch, request, events);
    void read(line, request.query);
    return { name: "sse", send: (text) => line.send(text), close: () => line.close() };
  };
}

async function read(line: Line, query: Readonly<Record<string, string>>): Promise<void> {
  try {
    const response = await line.request("stream", query);
    if (!response.ok) return await line.refused(response);
    if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
      return line.lost(1006, "what answers is no event stream");
    }
    const reader = response.body!.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done || line.ended) break;
      const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = blocks.pop()!;
      for (const block of blocks) take(line, block);
    }
    line.lost(1006, "the stream ended");
  } catch (error) {
    line.lost(1006, String(error));
  }
}

function take(line: Line, block: string): void {
  const fields: Record<string, string> = {};
  for (const text of block.split("\n")) {
    const colon = text.indexOf(": ");
    fields[text.slice(0, colon)] = text.slice(colon + 2);
  }
  const { event, data, id } = fields;
  if (data === undefined) return;
  if (event === "ping") return line.prove();
  if (event === "close") {
    const { code, reason } = JSON.parse(data) as { code: number; reason: string };
    return line.lost(code, reason);
  }
  if (event !== undefined) return;
  line.received = Number(id);
  line.message(data);
}
