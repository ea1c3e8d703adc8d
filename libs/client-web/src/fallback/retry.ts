/** Whether a WebSocket can be had again: one that says nothing but a heartbeat, and waits for the answer. */

import type { WebSocketConstructor } from "../websocket.ts";

const FIRST_MS = 1000; // perhaps the server was away, and not the WebSocket blocked
const ANSWER_MS = 5000;

/** Tries now and then, until the returned function is called; calls `back` once a WebSocket answers. */
export function retry(
  url: string,
  WebSocketClass: WebSocketConstructor | undefined,
  everyMs: number,
  back: () => void,
): () => void {
  let stop = () => {};
  const after = (ms: number) => {
    const timer = setTimeout(() => {
      stop = probe(url, WebSocketClass, (answered) => (answered ? back() : after(everyMs)));
    }, ms);
    stop = () => clearTimeout(timer);
  };
  after(FIRST_MS);
  return () => stop();
}

function probe(url: string, WebSocketClass: WebSocketConstructor | undefined, done: (answered: boolean) => void): () => void {
  const Socket = WebSocketClass ?? (globalThis.WebSocket as unknown as WebSocketConstructor | undefined);
  if (!Socket) return () => {}; // never: there is none
  // Without a token: the edge answers a heartbeat before it knows who is there (docs/protocol.md).
  const socket = new Socket(url, ["tapewire.v1"]);
  const end = (answered: boolean | null) => {
    clearTimeout(timer);
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.onerror = () => {};
    socket.close();
    if (answered !== null) done(answered);
  };
  const timer = setTimeout(() => end(false), ANSWER_MS);
  socket.onopen = () => socket.send('{"type":"heartbeat"}');
  socket.onmessage = () => end(true);
  socket.onclose = () => end(false);
  socket.onerror = () => {};
  return () => end(null);
}
