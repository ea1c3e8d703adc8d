/** One alert or notice, as a person sees it. */

import type { Message, MessageOf } from "../../messages.ts";

export type Level = "info" | "warning" | "critical" | "emergency";

export interface Notification {
  readonly id: string;
  readonly level: Level;
  /** RFC 3339. */
  readonly timestamp: string;
  /** `open`: waits for somebody's acknowledgement; null: wants none. */
  readonly ack: "open" | "acknowledged" | null;
  readonly isRead: boolean;
  readonly message: NotificationMessage;
}

export type NotificationMessage = Exclude<Message, MessageOf<"acked" | "market_data" | "notification_read" | "preferences_changed">>;

/** How serious the message is to a person. */
export function levelOf(message: NotificationMessage): Level {
  switch (message.type) {
    case "risk_alert":
    case "volatility_alert":
      return message.alertLevel;
    case "system_notification":
      return message.level;
    case "emergency_stop":
      return "emergency";
    default:
      return message.ack === true ? "critical" : "info";
  }
}

/** Whether it was raised to be acknowledged by a person. */
export function isCritical({ level }: Notification): boolean {
  return level === "critical" || level === "emergency";
}

const SHOWN = new Set<string>([
  "risk_alert",
  "volatility_alert",
  "system_notification",
  "emergency_stop",
  "performance_milestone",
]);

/** The message as a notification; null when it is none: no alert, no notice, and no ack wanted. */
export function notificationOf(message: Message): Notification | null {
  if (!("id" in message) || (!SHOWN.has(message.type) && message.ack !== true)) return null;
  const shown = message as NotificationMessage;
  const { id, timestamp, ack } = shown;
  return { id, timestamp, level: levelOf(shown), ack: ack === true ? "open" : null, isRead: false, message: shown };
}

/** What all tellings of one alarm have in common: an alarm that nobody acknowledges is told again, as a message of its own. */
export function alarmOf({ id, message }: Notification): string {
  return message.type === "risk_alert" && message.episodeId ? `${message.episodeId} ${message.alertLevel}` : id;
}

/** The newest telling of each alarm, of the open ones if there are any, in the order given; and everything else. */
export function latestTellings(items: readonly Notification[]): Notification[] {
  const latest = new Map<string, Notification>();
  const rank = (item: Notification) => (item.ack === "open" ? 1e6 : 0) + repeatOf(item);
  for (const item of items) {
    const known = latest.get(alarmOf(item));
    if (!known || rank(item) > rank(known)) latest.set(alarmOf(item), item);
  }
  return items.filter((item) => latest.get(alarmOf(item)) === item);
}

/** How often its alarm had been told before. */
export function repeatOf({ message }: Notification): number {
  return message.type === "risk_alert" ? (message.repeat ?? 0) : 0;
}

/** Newest first; of one instant the one that came later. */
export function before(a: Notification, b: Notification): number {
  // Not as text: of one second, "…00.5Z" sorts before "…00Z".
  return Date.parse(b.timestamp) - Date.parse(a.timestamp) || b.id.localeCompare(a.id);
}
