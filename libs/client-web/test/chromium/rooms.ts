/** Fake servers on real sockets, for a real browser: WebSocket, streams and polls, across origins. */

import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { FakeConnection, FakeServer } from "../../src/testing/index.ts";

const CORS = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Allow-Headers": "authorization, content-type",
  "Access-Control-Allow-Methods": "GET, POST, DELETE",
};

export interface Rooms {
  /** Host and port. */
  readonly address: string;
  /** The server behind `ws://<address>/<name>/ws`. */
  room(name: string): FakeServer;
  close(): void;
}

/** Listens on a free port; what is asked for at `/` and `/page.js` is the page and its script. */
export async function openRooms(script: string): Promise<Rooms> {
  const rooms = new Map<string, FakeServer>();
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => "tapewire.v1" });
  const room = (name: string) => {
    if (!rooms.has(name)) rooms.set(name, new FakeServer());
    return rooms.get(name)!;
  };
  const roomOf = (request: IncomingMessage) => room(request.url!.split("/")[1]!);

  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const room = roomOf(request);
    if (!room.allowsWebSockets || !room.isUp) return socket.destroy();
    return sockets.handleUpgrade(request, socket, head, (accepted) => {
      const connection = new FakeConnection(room);
      room.connections.push(connection);
      accepted.on("message", (data: Buffer) => connection.received(data.toString()));
      accepted.on("close", (code) => connection.left(code));
      const end = {
        opened() {},
        arrived: (text: string) => accepted.send(text),
        closed: (code: number, reason: string) => (code === 1006 ? accepted.terminate() : accepted.close(code, reason)),
      };
      connection.connecting(end, `http://room${request.url}`, (request.headers["sec-websocket-protocol"] ?? "").split(/, */));
    });
  };

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    if (request.url === "/") return response.setHeader("Content-Type", "text/html").end('<script src="/page.js"></script>');
    if (request.url === "/page.js") return response.setHeader("Content-Type", "text/javascript").end(script);
    if (request.url === "/favicon.ico") return response.writeHead(204).end();
    const room = roomOf(request);
    if (request.method === "OPTIONS") return response.writeHead(204, CORS).end();
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    try {
      const answered = await room.fetch(`http://room${request.url}`, {
        method: request.method!,
        headers: { authorization: request.headers.authorization ?? "" },
        signal: gone.signal,
        ...(body ? { body } : {}),
      });
      response.writeHead(answered.status, { ...CORS, ...Object.fromEntries(answered.headers) });
      if (!answered.body) return response.end();
      return Readable.fromWeb(answered.body as never)
        .on("error", () => response.destroy())
        .pipe(response);
    } catch {
      return response.destroy(); // as a network that does not let it through
    }
  };

  const http = createServer((request, response) => void answer(request, response));
  http.on("upgrade", upgrade);
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(http.address() as AddressInfo).port}`,
    room,
    close() {
      http.closeAllConnections();
      http.close();
    },
  };
}
