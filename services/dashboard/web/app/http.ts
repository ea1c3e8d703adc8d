/** Requests to the services, with the signed-in user's token. */

import type { Tokens } from "./identity.ts";

export class HttpError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const TIMEOUT_MS = 10_000;

/** Sends a request and returns its JSON; a refused token is replaced once. */
export async function requestJson<T>(tokens: Tokens, method: "GET" | "POST", url: string, body?: unknown): Promise<T> {
  const send = async (reason: "http" | "rejected") =>
    fetch(url, {
      method,
      headers: {
        Authorization: `Bearer ${await tokens.get(reason)}`,
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  let response = await send("http");
  if (response.status === 401) response = await send("rejected");
  if (!response.ok) {
    const { message } = (await response.json().catch(() => ({}))) as { message?: string };
    throw new HttpError(response.status, message ?? `${response.status} ${response.statusText}`);
  }
  return (await response.json()) as T;
}
