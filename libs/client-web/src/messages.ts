/** Message types by name, and what is known of each. */

import { QUALITY } from "./contracts.gen.ts";
import type { Acked, Event, ServerFrame } from "./contracts.gen.ts";

/** What the edge adds to an event on the way. */
export interface Delivered {
  /** State as it stands, not news: sent after `subscribed`. */
  readonly snapshot?: true;
  /** Sent before, and not acked then. */
  readonly redelivered?: true;
}

/** What handlers receive: an event of any type, or the user's acks on other devices. */
export type Message = (Event & Delivered) | Acked;
export type MessageType = Message["type"];
export type MessageOf<T extends MessageType> = Extract<Message, { type: T }>;

/** A message of a type that this version does not know. */
export interface UnknownMessage {
  readonly type: string;
  readonly id?: string;
  readonly [field: string]: unknown;
}

export type ServerMessage = ServerFrame | Message;
export type Quality = "live" | "recent" | "critical";

const FRAMES: ReadonlySet<string> = new Set<ServerFrame["type"]>([
  "welcome",
  "subscribed",
  "unsubscribed",
  "refreshed",
  "accepted",
  "draining",
  "heartbeat",
  "error",
]);

/** Whether the message is part of the protocol's own conversation, of no concern to handlers. */
export function isFrame(message: { type: string }): message is Exclude<ServerFrame, Acked> {
  return FRAMES.has(message.type);
}

export function isKnown(type: string): type is MessageType {
  return type === "acked" || Object.hasOwn(QUALITY, type);
}

/** A type's class of service; a type of the future counts as recent: handled once, in order. */
export function qualityOf(type: string): Quality {
  return Object.hasOwn(QUALITY, type) ? QUALITY[type as Event["type"]] : "recent";
}

/** One server message, or null for what is none: no JSON, no object, no type. */
export function parseMessage(text: string): { type: string } | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string"
      ? (value as { type: string })
      : null;
  } catch {
    return null;
  }
}
