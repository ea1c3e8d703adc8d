/** Orders to stop: over the socket, and over HTTP where the socket does not carry them. */

import type { WebSocketClient } from "@tapewire/client";
import { requestJson } from "../app/http.ts";
import type { Tokens } from "../app/identity.ts";

export interface StopOrder {
  readonly sessionId: string;
  readonly userId: string;
  readonly reason: string;
}

/**
 * Resolves once the broker confirmed the order. The same key goes both ways, so an order that went
 * through before its answer was lost is taken once.
 */
export async function orderStop(
  client: WebSocketClient,
  edges: readonly string[],
  tokens: Tokens,
  order: StopOrder,
  idempotencyKey: string,
): Promise<void> {
  try {
    await client.emergencyStop({ ...order, idempotencyKey });
    return;
  } catch (error) {
    if (!isWorthAnotherWay(error)) throw error;
  }
  let last: unknown;
  for (const edge of edges) {
    try {
      await requestJson(tokens, "POST", `${edge}/v1/commands`, { command: "emergency_stop", ...order, idempotencyKey });
      return;
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

function isWorthAnotherWay(error: unknown): boolean {
  return typeof error === "object" && error !== null && "retryable" in error && error.retryable === true;
}
