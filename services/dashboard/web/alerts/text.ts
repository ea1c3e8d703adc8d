/** Alerts in words. Pure. */

import { latestTellings } from "@tapewire/client/react";
import type { Level, Notification, NotificationMessage } from "@tapewire/client/react";
import { percent } from "../ui/format.ts";

export const LEVELS: Record<Level, string> = {
  info: "Info",
  warning: "Warning",
  critical: "Critical",
  emergency: "Emergency",
};

const RULES: Record<string, string> = {
  loss_limit: "Loss limit",
  time_limit: "Time limit",
  volatility: "Volatility",
  correlation: "Correlation",
  data_stale: "Data is stale",
  stop_unconfirmed: "Stop not confirmed",
};

export function titleOf(message: NotificationMessage): string {
  switch (message.type) {
    case "risk_alert":
      return RULES[message.alertType] ?? message.alertType;
    case "volatility_alert":
      return `Volatility of ${message.symbol}`;
    case "system_notification":
      return message.title;
    case "emergency_stop":
      return "Emergency stop";
    case "performance_milestone":
      return "Milestone";
    default:
      return message.type.replaceAll("_", " ");
  }
}

export function bodyOf(message: NotificationMessage): string {
  switch (message.type) {
    case "risk_alert":
    case "volatility_alert":
    case "system_notification":
      return message.message;
    case "emergency_stop":
      return message.reason;
    case "performance_milestone":
      return message.message ?? message.milestone;
    case "algorithm_decision":
      return message.reasoning;
    default:
      return "";
  }
}

/** `92.1 % ≥ 90.0 %`: what crossed what. */
export function measureOf(message: NotificationMessage): string | null {
  if (message.type === "volatility_alert") return `${message.currentValue.toFixed(2)} ≥ ${message.threshold.toFixed(2)}`;
  if (message.type !== "risk_alert") return null;
  const { alertType, currentValue, threshold } = message;
  const isShare = alertType === "loss_limit" || alertType === "time_limit";
  return isShare
    ? `${percent(currentValue)} ≥ ${percent(threshold, 0)}`
    : `${currentValue.toFixed(2)} ≥ ${threshold.toFixed(2)}`;
}

export function sessionOf(message: NotificationMessage): string | null {
  return "sessionId" in message ? (message.sessionId ?? null) : null;
}

const RANK: Record<Level, number> = { emergency: 0, critical: 1, warning: 2, info: 3 };

/** Open alerts, each alarm once, in the order in which a person should see them: the gravest first, then the oldest. */
export function openAlerts(items: readonly Notification[]): Notification[] {
  return latestTellings(items.filter(({ ack }) => ack === "open"))
    .sort((a, b) => RANK[a.level] - RANK[b.level] || Date.parse(a.timestamp) - Date.parse(b.timestamp));
}

export interface AlertGroup {
  readonly level: Level;
  readonly title: string;
  readonly count: number;
  /** How many different ones. */
  readonly sessions: number;
}

/** Alerts of one level and kind together, in the order in which the first of each comes. */
export function grouped(alerts: readonly Notification[]): AlertGroup[] {
  const kinds = new Map<string, Notification[]>();
  for (const alert of alerts) {
    const kind = `${alert.level} ${titleOf(alert.message)}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), alert]);
  }
  return [...kinds.values()].map((of) => ({
    level: of[0]!.level,
    title: titleOf(of[0]!.message),
    count: of.length,
    sessions: new Set(of.map(({ message }) => sessionOf(message))).size,
  }));
}
