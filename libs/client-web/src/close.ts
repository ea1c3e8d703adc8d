/** Close codes and what follows from them. The range is the rule: 40xx reconnect, 45xx stop. */

import { CloseCode } from "./contracts.gen.ts";

export { CloseCode };

// RFC 6455, 7.4.1 and its registry: going away, no status, abnormal, internal error, service restart,
// try again later, bad gateway. None of them says that the client did wrong.
const RECONNECT = new Set([1001, 1005, 1006, 1011, 1012, 1013, 1014]);

/** Whether a client comes back by itself after `code`. */
export function mayReconnect(code: number): boolean {
  return RECONNECT.has(code) || (code >= 4000 && code < 4100);
}

const WORDS: Readonly<Record<number, string>> = {
  1000: "closed by the server",
  1001: "the server is going away",
  1006: "connection lost",
  1009: "a message was too big",
  1012: "the server is restarting",
};

/** `code` in words, for a person; the server's own `reason` comes first when it gave one. */
export function closeReason(code: number, reason = ""): string {
  if (reason || WORDS[code]) return reason || WORDS[code]!;
  const name = Object.entries(CloseCode).find(([, named]) => named === code)?.[0];
  return name?.toLowerCase().replaceAll("_", " ") ?? `closed with code ${code}`; // as the edge says it
}
