/** Close codes and what follows from them. The range is the rule: 40xx reconnect, 45xx stop. */

export { CloseCode } from "./contracts.gen.ts";

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
  4000: "the server is draining",
  4001: "too slow for the stream",
  4003: "no sign of life",
  4004: "the token expired",
  4005: "the server is overloaded",
  4006: "too many messages",
  4500: "the token is invalid",
  4501: "the server did not understand",
  4502: "not authenticated in time",
  4503: "disconnected by an operator",
  4504: "too many connections",
  4505: "not allowed",
  4506: "replaced by a newer connection of this device",
};

/** `code` in words, for a person; the server's own `reason` comes first when it gave one. */
export function closeReason(code: number, reason = ""): string {
  return reason || WORDS[code] || `closed with code ${code}`;
}
