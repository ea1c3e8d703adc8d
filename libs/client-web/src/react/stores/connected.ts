/** Calls back each time that the client is connected anew, and now if it is. */

import type { WebSocketClient } from "../../client.ts";

export function onConnected(client: WebSocketClient, callback: () => void): () => void {
  let wasConnected = false;
  const look = () => {
    const isConnected = client.info.state === "connected";
    if (isConnected && !wasConnected) callback();
    wasConnected = isConnected;
  };
  const stop = client.onStateChange(look);
  look();
  return stop;
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
