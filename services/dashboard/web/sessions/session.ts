/** What a session's state means. Pure. */

import type { Session } from "@tapewire/client/react";

/** Whether it trades, or may again: new figures are due, and it can be stopped. */
export function isLive({ status }: Pick<Session, "status">): boolean {
  return status === "active" || status === "paused";
}
