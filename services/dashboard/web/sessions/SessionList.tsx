import type { Session } from "@tapewire/client/react";
import { Empty, Panel, Skeleton } from "../ui/Panel.tsx";
import { LiveSessionCard } from "./LiveSessionCard.tsx";
import { isLive } from "./session.ts";

const ENDED = 20; // cards of sessions that ended: the day's last, some screens of them

export function SessionList({
  sessions,
  selected,
  onSelect,
  isLoading,
  error,
}: {
  sessions: readonly Session[];
  selected: string | null;
  onSelect: (sessionId: string) => void;
  isLoading: boolean;
  error: Error | null;
}) {
  const running = sessions.filter(isLive).length; // they come first
  const shown = sessions.filter(({ sessionId }, index) => index < running + ENDED || sessionId === selected);
  const hidden = sessions.length - shown.length;
  const active = sessions.filter(({ status }) => status === "active").length;
  return (
    <Panel title="Sessions" note={sessions.length > 0 ? `${active} active` : undefined} className="max-md:max-h-[32rem] md:row-span-2 lg:row-span-1">
      {isLoading ? (
        <Skeleton rows={3} height="h-28" />
      ) : sessions.length === 0 ? (
        error ? (
          <Empty title="Sessions could not be loaded">{error.message}</Empty>
        ) : (
          <Empty title="No sessions yet">A card appears here when a strategy starts a session.</Empty>
        )
      ) : (
        <ul className="relative flex min-h-0 flex-1 flex-col gap-1.5 overflow-y-auto p-1.5">
          {shown.map((session) => (
            <li key={session.sessionId}>
              <LiveSessionCard
                session={session}
                isSelected={session.sessionId === selected}
                onSelect={() => onSelect(session.sessionId)}
              />
            </li>
          ))}
          {hidden > 0 && <li className="text-muted px-2.5 py-1 text-xs">{`${hidden} more ended earlier`}</li>}
        </ul>
      )}
    </Panel>
  );
}
