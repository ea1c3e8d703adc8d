/** Toasts for what is good to know and asks for nothing: warnings, notices, milestones. */

import { levelOf, useRealTimeEvent, useTapewire } from "@tapewire/client/react";
import type { NotificationMessage } from "@tapewire/client/react";
import { useEffect } from "react";
import { toast } from "sonner";
import { bodyOf, titleOf } from "./text.ts";

const RECENT_MS = 60_000; // what is older waited while we were away: the table shows it

function show(message: NotificationMessage): void {
  const level = levelOf(message);
  if (level === "critical" || level === "emergency") return; // these have a dialog
  if (Date.now() - Date.parse(message.timestamp) > RECENT_MS) return;
  const options = { id: message.id, description: bodyOf(message), duration: level === "warning" ? 10_000 : 5000 };
  if (level === "warning") toast.warning(titleOf(message), options);
  else toast.info(titleOf(message), options);
}

export function useToasts(): void {
  const { client } = useTapewire();
  useEffect(
    () =>
      client.onGap(() => {
        toast.message("Some events were missed", {
          description: "You were away for longer than they are kept. Figures are current; alerts are all there.",
        });
      }),
    [client],
  );
  useRealTimeEvent("risk_alert", show, { manualAck: true });
  useRealTimeEvent("volatility_alert", show, { manualAck: true });
  useRealTimeEvent("system_notification", show, { manualAck: true });
  useRealTimeEvent("performance_milestone", show, { manualAck: true });
}
