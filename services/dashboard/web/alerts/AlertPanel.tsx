import { latestTellings, repeatOf, useRealTimeNotifications, useWebSocketConnection } from "@tapewire/client/react";
import type { Notification } from "@tapewire/client/react";
import { memo, useState } from "react";
import { Button } from "../ui/Button.tsx";
import { moment } from "../ui/format.ts";
import { Check } from "../ui/icons.tsx";
import { announce } from "../ui/live.tsx";
import { Empty, Panel, Skeleton } from "../ui/Panel.tsx";
import { useNow } from "../ui/useNow.ts";
import { LevelBadge } from "./LevelBadge.tsx";
import { bodyOf, measureOf, sessionOf, titleOf } from "./text.ts";

const FILTERS = {
  all: { label: "All", shows: () => true },
  open: { label: "Open", shows: ({ ack }: Notification) => ack === "open" },
  unread: { label: "Unread", shows: ({ isRead }: Notification) => !isRead },
} as const;
type Filter = keyof typeof FILTERS;

export function AlertPanel() {
  const { items, unreadCount, hasMore, isLoading, error, ...notifications } = useRealTimeNotifications();
  const { isStale, state } = useWebSocketConnection();
  const [filter, setFilter] = useState<Filter>("all");
  const today = new Date(useNow()).setHours(0, 0, 0, 0);
  const shown = latestTellings(items).filter(FILTERS[filter].shows);
  const note = [unreadCount > 0 ? `${unreadCount} unread` : null, error ? "history is not available" : null]
    .filter(Boolean)
    .join(" · ");
  return (
    <Panel
      title="Alerts and notifications"
      note={note || undefined}
      className="max-lg:max-h-[32rem] md:col-span-full"
      actions={
        <>
          <div role="group" aria-label="Show" className="mr-2 flex">
            {(Object.keys(FILTERS) as Filter[]).map((key) => (
              <button
                key={key}
                type="button"
                aria-pressed={filter === key}
                onClick={() => setFilter(key)}
                className={`h-6 rounded px-2 text-xs font-medium ${filter === key ? "bg-raised text-strong" : "text-muted hover:text-strong"}`}
              >
                {FILTERS[key].label}
              </button>
            ))}
          </div>
          <Button
            size="sm"
            kind="quiet"
            disabled={isStale || unreadCount === 0}
            onClick={() => void notifications.markAllAsRead().then(() => announce("All marked as read."))}
          >
            Mark all read
          </Button>
          <Button
            size="sm"
            kind="quiet"
            disabled={isStale || !items.some(({ ack }) => ack !== "open")}
            title="Takes away, on all devices, everything but alerts that nobody acknowledged"
            onClick={() => void notifications.clearAll().then(() => announce("All archived."))}
          >
            Archive all
          </Button>
        </>
      }
    >
      {shown.length === 0 ? (
        isLoading || state === "connecting" || state === "idle" ? (
          <Skeleton rows={3} />
        ) : isStale ? (
          <Empty title="Not known">There is no connection. What is raised meanwhile is kept, and appears here as soon as there is one.</Empty>
        ) : error && filter === "all" ? (
          <Empty title="History is not available">{`New alerts appear here all the same. ${error.message}`}</Empty>
        ) : filter === "all" ? (
          <Empty title="All quiet">Alerts and notices appear here; what is critical also asks for your acknowledgement.</Empty>
        ) : (
          <Empty title={filter === "open" ? "No open alerts" : "Nothing unread"} />
        )
      ) : (
        <div className="relative min-h-0 flex-1 overflow-auto" tabIndex={0} role="group" aria-label="Alerts and notifications, newest first">
          <table className="w-full border-collapse">
            <thead className="bg-panel text-muted sticky top-0 z-10 text-left text-xs">
              <tr className="h-7 [&>th]:px-2 sm:[&>th]:px-3 [&>th]:font-medium">
                <th className="w-9 sm:w-28">
                  <span className="max-sm:sr-only">Level</span>
                </th>
                <th className="hidden w-28 sm:table-cell">Time</th>
                <th>What</th>
                <th className="hidden w-32 text-right lg:table-cell">Value</th>
                <th className="hidden w-36 lg:table-cell">Session</th>
                <th className="w-28 text-right sm:w-36">State</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((item) => (
                <AlertRow
                  key={item.id}
                  item={item}
                  today={today}
                  isStale={isStale}
                  onAcknowledge={notifications.acknowledge}
                  onRead={notifications.markAsRead}
                />
              ))}
            </tbody>
          </table>
          {hasMore && filter !== "open" && (
            <div className="flex justify-center p-2">
              <Button size="sm" disabled={isLoading} onClick={() => void notifications.fetchMore()}>
                {isLoading ? "Loading…" : "Show older"}
              </Button>
            </div>
          )}
        </div>
      )}
    </Panel>
  );
}

const AlertRow = memo(function AlertRow({
  item,
  today,
  isStale,
  onAcknowledge,
  onRead,
}: {
  item: Notification;
  today: number;
  isStale: boolean;
  onAcknowledge: (id: string) => Promise<void>;
  onRead: (id: string) => Promise<void>;
}) {
  const { id, level, timestamp, message, ack, isRead } = item;
  return (
    <tr
      data-testid="alert"
      data-ack={ack ?? "none"}
      className={`border-line hover:bg-raised/60 h-7 border-t align-top sm:align-middle [&>td]:px-2 [&>td]:py-1 sm:[&>td]:px-3 sm:[&>td]:py-0 ${isRead ? "text-muted" : ""}`}
    >
      <td>
        <LevelBadge level={level} isCompact />
      </td>
      <td className="text-muted hidden whitespace-nowrap tabular-nums sm:table-cell">
        <time dateTime={timestamp}>{moment(timestamp, today)}</time>
      </td>
      <td className="max-w-0 sm:truncate" title={bodyOf(message)}>
        <span className={`mr-2 ${isRead ? "" : "text-strong font-semibold"}`}>{titleOf(message)}</span>
        {repeatOf(item) > 0 && <span className="text-muted mr-2 text-xs">{`told ${repeatOf(item) + 1} times`}</span>}
        <time dateTime={timestamp} className="text-muted text-xs tabular-nums sm:hidden">
          {moment(timestamp, today)}
        </time>
        <span className="line-clamp-2 leading-snug sm:inline">{bodyOf(message)}</span>
      </td>
      <td className="hidden text-right whitespace-nowrap tabular-nums lg:table-cell">{measureOf(message)}</td>
      <td className="hidden max-w-36 truncate lg:table-cell">{sessionOf(message)}</td>
      <td className="text-right whitespace-nowrap">
        {ack === "open" ? (
          <Button
            size="sm"
            kind="primary"
            disabled={isStale}
            aria-label={`Acknowledge ${titleOf(message)}`}
            onClick={() => void onAcknowledge(id).then(() => announce("Acknowledged."))}
          >
            Acknowledge
          </Button>
        ) : isRead ? (
          <span className="inline-flex h-6 items-center gap-1 align-middle text-xs">
            {ack === "acknowledged" && <Check className="size-3.5" />}
            {ack === "acknowledged" ? "Acknowledged" : "Read"}
          </span>
        ) : (
          <Button size="sm" kind="quiet" disabled={isStale} aria-label={`Mark read: ${titleOf(message)}`} onClick={() => void onRead(id)}>
            Mark read
          </Button>
        )}
      </td>
    </tr>
  );
});
