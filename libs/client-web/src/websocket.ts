/** The WebSocket transport. */

import type { OpenTransport } from "./transport.ts";

export const SUBPROTOCOL = "tapewire.v1";

/** The part of the WebSocket API that is used: the browser's, Node's or a test's. */
export interface WebSocketLike {
  readonly readyState: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

const OPEN = 1;
const TOKEN_CHARS = /^[\w.~+/-]+$/; // what a subprotocol may be made of (RFC 9110, 5.6.2), and JWTs are

/** A transport over `WebSocketClass`; the global one is looked up when it is needed. */
export function webSocketTransport(WebSocketClass?: WebSocketConstructor): OpenTransport {
  return ({ url, query, token }, events) => {
    const Socket = WebSocketClass ?? (globalThis.WebSocket as unknown as WebSocketConstructor);
    const inHandshake = TOKEN_CHARS.test(token) && !token.includes("/");
    const protocols = inHandshake ? [SUBPROTOCOL, `bearer.${token}`] : [SUBPROTOCOL];
    const socket = new Socket(withQuery(webSocketUrl(url), query), protocols);

    const detach = () => {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.onerror = () => {}; // an 'error' without listener ends the process in some of Node's sockets
    };
    socket.onopen = () => {
      events.opened?.();
      if (!inHandshake) socket.send(JSON.stringify({ type: "authenticate", token, ...query }));
    };
    socket.onmessage = (event: { data: unknown }) => {
      if (typeof event.data === "string") events.message(event.data);
    };
    socket.onerror = () => {}; // always followed by close
    socket.onclose = (event: { code: number; reason: string }) => {
      detach();
      events.closed(event.code, event.reason);
    };
    return {
      name: "websocket",
      send(text) {
        if (socket.readyState !== OPEN) return false;
        socket.send(text);
        return true;
      },
      close(code, reason) {
        detach(); // the closing handshake of a half-open connection takes up to a minute: not awaited
        socket.close(code, reason);
      },
    };
  };
}

/** The URL in full, with a WebSocket's scheme. */
export function webSocketUrl(url: string): string {
  const base = typeof location === "undefined" ? undefined : location.href;
  return new URL(url, base).href.replace(/^http/, "ws");
}

function withQuery(url: string, query: Readonly<Record<string, string>>): string {
  const text = new URLSearchParams(query).toString();
  return text ? `${url}${url.includes("?") ? "&" : "?"}${text}` : url;
}
