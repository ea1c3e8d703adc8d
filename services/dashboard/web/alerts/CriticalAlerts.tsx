/** Alerts that cannot be missed: a dialog that asks for acknowledgement, and a banner until it is given. */

import * as Dialog from "@radix-ui/react-alert-dialog";
import { useRealTimeNotifications, useWebSocketConnection } from "@tapewire/client/react";
import type { Notification } from "@tapewire/client/react";
import { useEffect, useRef, useState } from "react";
import { useDesk } from "../app/desk.ts";
import { Button } from "../ui/Button.tsx";
import { amount, time } from "../ui/format.ts";
import { Octagon } from "../ui/icons.tsx";
import { announce } from "../ui/live.tsx";
import { LevelBadge } from "./LevelBadge.tsx";
import { LEVELS, bodyOf, grouped, measureOf, openAlerts, sessionOf, titleOf } from "./text.ts";

const SETTLE_MS = 600; // a dialog that has just appeared takes no click or key that was meant for something else

export function CriticalAlerts({ settleMs = SETTLE_MS }: { settleMs?: number }) {
  const { items, acknowledge } = useRealTimeNotifications();
  const { isStale, userId } = useWebSocketConnection();
  const { ownStops } = useDesk();
  const isOwn = (alert: Notification) => ownStops.tells(alert, userId);
  const inOrder = openAlerts(items);
  const open = [...inOrder.filter((alert) => !isOwn(alert)), ...inOrder.filter(isOwn)];
  const [isShown, setShown] = useState(false);
  const known = useRef<ReadonlySet<string>>(new Set());

  // What is new opens the dialog, also one that was put aside; and is said at once. Not so what the
  // trader has just ordered: the banner has it, and "Stop ordered" acknowledges it.
  useEffect(() => {
    const fresh = open.filter((alert) => !known.current.has(alert.id) && !isOwn(alert));
    known.current = new Set(open.map(({ id }) => id));
    const [first] = fresh;
    if (!first) return;
    setShown(true);
    announce(`${LEVELS[first.level]}: ${titleOf(first.message)}. ${bodyOf(first.message)}`, "assertive");
  }, [open]);

  useEffect(() => {
    document.title = open.length > 0 ? `(${open.length}) Tapewire` : "Tapewire";
  }, [open.length]);

  const current = open[0];
  if (!current) return null;
  return (
    <>
      <Banner open={open} onReview={() => setShown(true)} />
      <Dialog.Root open={isShown} onOpenChange={setShown}>
        <AlertDialog
          key={current.id}
          alert={current}
          others={open.slice(1)}
          isStale={isStale}
          settleMs={settleMs}
          onAcknowledge={() => {
            void acknowledge(current.id).then(() => announce("Acknowledged."));
            if (!isOwn(current) && open.slice(1).every(isOwn)) setShown(false);
          }}
          onAcknowledgeAll={() => {
            for (const { id } of open) void acknowledge(id);
            announce(`${open.length} alerts acknowledged.`);
          }}
        />
      </Dialog.Root>
    </>
  );
}

function Banner({ open, onReview }: { open: readonly Notification[]; onReview: () => void }) {
  const emergencies = open.filter(({ level }) => level === "emergency").length;
  const criticals = open.length - emergencies;
  const counts = [
    emergencies > 0 ? `${emergencies} ${emergencies === 1 ? "emergency" : "emergencies"}` : "",
    criticals > 0 ? `${criticals} critical ${criticals === 1 ? "alert" : "alerts"}` : "",
  ].filter(Boolean);
  const verb = open.length === 1 ? "waits" : "wait";
  return (
    <section
      aria-label="Alerts that wait for acknowledgement"
      data-testid="critical-banner"
      className={`flex min-h-9 items-center gap-3 px-3 py-1.5 text-white ${emergencies > 0 ? "bg-emergency" : "bg-[#9f1f1f]"}`}
    >
      <Octagon className="size-5" />
      <strong className="font-semibold md:whitespace-nowrap">{`${counts.join(" and ")} ${verb} for acknowledgement`}</strong>
      <span className="hidden min-w-0 truncate opacity-90 md:inline">{bodyOf(open[0]!.message)}</span>
      <button
        type="button"
        onClick={onReview}
        className="ml-auto h-6 shrink-0 rounded border border-white/60 px-2.5 text-xs font-semibold hover:bg-white/15 focus-visible:outline-white"
      >
        Review
      </button>
    </section>
  );
}

function AlertDialog({
  alert,
  others,
  isStale,
  settleMs,
  onAcknowledge,
  onAcknowledgeAll,
}: {
  alert: Notification;
  others: readonly Notification[];
  isStale: boolean;
  settleMs: number;
  onAcknowledge: () => void;
  onAcknowledgeAll: () => void;
}) {
  const acknowledge = useRef<HTMLButtonElement>(null);
  const [isSettled, setSettled] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(true), settleMs);
    return () => clearTimeout(timer);
  }, [settleMs]);
  const guarded = (action: () => void) => () => {
    if (!isStale && isSettled) action();
  };
  const { level, message, timestamp } = alert;
  const facts = [
    ["Session", sessionOf(message)],
    ["Measured", measureOf(message)],
    ["Mode", message.type === "emergency_stop" ? message.mode.replace("_", " ") : null],
    ["Requested by", message.type === "emergency_stop" ? (message.requestedBy ?? null) : null],
    ["Value", message.type === "performance_milestone" ? amount(message.value) : null],
    ["Raised", time(timestamp)],
  ].filter((fact): fact is [string, string] => fact[1] !== null);
  return (
    <Dialog.Portal>
      <Dialog.Overlay className="fixed inset-0 z-40 bg-black/60" />
      <Dialog.Content
        data-testid="alert-dialog"
        data-settled={isSettled}
        onOpenAutoFocus={(event) => {
          event.preventDefault();
          acknowledge.current?.focus();
        }}
        className={`bg-panel text-text fixed top-1/2 left-1/2 z-50 w-[min(30rem,calc(100vw-2rem))] -translate-1/2 overflow-hidden rounded-lg border shadow-(--shadow) ${
          level === "emergency" ? "border-emergency" : "border-critical"
        }`}
      >
        <div className={`h-1.5 ${level === "emergency" ? "bg-emergency" : "bg-critical"}`} />
        <div className="p-5">
          <div className="flex items-center justify-between">
            <LevelBadge level={level} />
            {others.length > 0 && <span className="text-muted text-xs">{`and ${others.length} more`}</span>}
          </div>
          <Dialog.Title className="text-strong mt-2 text-xl font-semibold">{titleOf(message)}</Dialog.Title>
          <Dialog.Description className="mt-1 text-base leading-relaxed">{bodyOf(message)}</Dialog.Description>
          <dl className="bg-raised mt-4 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 rounded p-3 tabular-nums">
            {facts.map(([name, value]) => (
              <div key={name} className="contents">
                <dt className="text-muted">{name}</dt>
                <dd className="text-strong truncate text-right font-medium">{value}</dd>
              </div>
            ))}
          </dl>
          {others.length > 0 && <Others alerts={others} />}
          {isStale && (
            <p className="text-warning mt-3 text-xs">There is no connection. Acknowledging is possible again once there is.</p>
          )}
          <div className="mt-5 flex flex-col-reverse gap-2 sm:flex-row sm:justify-end">
            <Dialog.Cancel asChild>
              <Button kind="quiet">Later</Button>
            </Dialog.Cancel>
            {others.length > 0 && (
              <Button aria-disabled={isStale} onClick={guarded(onAcknowledgeAll)}>{`Acknowledge all ${others.length + 1}`}</Button>
            )}
            <Button
              ref={acknowledge}
              kind="primary"
              aria-disabled={isStale}
              onClick={guarded(onAcknowledge)}
            >
              Acknowledge
            </Button>
          </div>
        </div>
      </Dialog.Content>
    </Dialog.Portal>
  );
}

const GROUPS = 4; // rows; the table below has them one by one

/** What else waits, by kind: hours of alerts as a few rows. */
function Others({ alerts }: { alerts: readonly Notification[] }) {
  const groups = grouped(alerts);
  const rest = groups.slice(GROUPS).reduce((sum, { count }) => sum + count, 0);
  return (
    <section aria-label="Also open" className="mt-4">
      <h3 className="text-muted text-xs">Also open</h3>
      <ul className="divide-y divide-(--line)">
        {groups.slice(0, GROUPS).map(({ level, title, count, sessions }) => (
          <li key={`${level} ${title}`} className="flex min-h-7 items-center gap-3">
            <LevelBadge level={level} />
            <span className="text-strong truncate">{title}</span>
            <span className="text-muted ml-auto shrink-0 tabular-nums">
              {sessions > 1 ? `${count} · ${sessions} sessions` : count}
            </span>
          </li>
        ))}
      </ul>
      {rest > 0 && <p className="text-muted text-xs">{`and ${rest} of other kinds`}</p>}
    </section>
  );
}
