import * as Dialog from "@radix-ui/react-alert-dialog";
import { useRealTimeNotifications, useTapewire, useWebSocketConnection } from "@tapewire/client/react";
import type { Session } from "@tapewire/client/react";
import { useEffect, useRef, useState } from "react";
import { useDesk } from "../app/desk.ts";
import { isLive } from "../sessions/session.ts";
import { Button } from "../ui/Button.tsx";
import { ProfitLoss } from "../ui/Figure.tsx";
import { Check, StopSign } from "../ui/icons.tsx";
import { announce } from "../ui/live.tsx";
import { orderStop } from "./stop.ts";

type Outcome = "sending" | "ordered" | Error;

/** STOP: always there, also without a socket. */
export function StopButton({ sessions }: { sessions: readonly Session[] }) {
  const [isOpen, setOpen] = useState(false);
  const running = sessions.filter(isLive);
  return (
    <Dialog.Root open={isOpen} onOpenChange={setOpen}>
      <Dialog.Trigger asChild>
        <Button kind="danger" className="sm:px-4 tracking-wide" data-testid="stop">
          <StopSign /> STOP
        </Button>
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 bg-black/60" />
        {isOpen && <StopDialog running={running} />}
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function StopDialog({ running }: { running: readonly Session[] }) {
  const { client } = useTapewire();
  const { config, tokens, ownStops } = useDesk();
  const { items, acknowledge } = useRealTimeNotifications();
  const { isStale, userId } = useWebSocketConnection();
  const [sessions] = useState(running); // what is chosen must not move under the pointer
  const [chosen, setChosen] = useState(() => new Set(running.map(({ sessionId }) => sessionId)));
  const [reason, setReason] = useState("");
  const [outcomes, setOutcomes] = useState<ReadonlyMap<string, Outcome>>(new Map());
  const keys = useRef(new Map<string, string>());
  const confirm = useRef<HTMLButtonElement>(null);

  const isSending = [...outcomes.values()].includes("sending");
  const failed = [...outcomes].filter(([, outcome]) => outcome instanceof Error).map(([id]) => id);
  const isDone = outcomes.size > 0 && !isSending && failed.length === 0;

  // The button that was pressed was switched off meanwhile, or is gone.
  useEffect(() => {
    if (!isSending) confirm.current?.focus();
  }, [isSending, isDone]);

  const send = async () => {
    const wanted = sessions.filter(({ sessionId }) => chosen.has(sessionId) && outcomes.get(sessionId) !== "ordered");
    const note = (sessionId: string, outcome: Outcome) =>
      setOutcomes((before) => new Map(before).set(sessionId, outcome));
    await Promise.all(
      wanted.map(async ({ sessionId, userId }) => {
        const key = keys.current.get(sessionId) ?? crypto.randomUUID();
        keys.current.set(sessionId, key);
        note(sessionId, "sending");
        ownStops.ordered(sessionId); // before the alert about it can come
        try {
          await orderStop(client, config.edge, tokens, { sessionId, userId, reason: reason || "Stopped by hand" }, key);
          note(sessionId, "ordered");
          announce(`Stop ordered for ${sessionId}.`, "assertive");
        } catch (error) {
          note(sessionId, error instanceof Error ? error : new Error(String(error)));
          announce(`Stopping ${sessionId} failed.`, "assertive");
        }
      }),
    );
  };

  /** Who has read here what was ordered need not be asked whether they saw it. */
  const acknowledgeOwn = () => {
    if (isStale) return;
    for (const item of items) if (item.ack === "open" && ownStops.tells(item, userId)) void acknowledge(item.id);
  };

  return (
    <Dialog.Content
      onOpenAutoFocus={(event) => {
        event.preventDefault();
        confirm.current?.focus();
      }}
      className="bg-panel border-line text-text fixed top-1/2 left-1/2 z-50 w-[min(28rem,calc(100vw-2rem))] -translate-1/2 rounded-lg border p-5 shadow-(--shadow)"
    >
      <Dialog.Title className="text-strong text-xl font-semibold">
        {isDone ? "Stop ordered" : "Stop trading?"}
      </Dialog.Title>
      <Dialog.Description className="mt-1 leading-relaxed">
        {isDone
          ? "The order is on its way to the executors. A session shows as stopped once its executor says so."
          : sessions.length === 0
            ? "No session is running."
            : "An emergency stop is ordered for each chosen session. It is not undone from here."}
      </Dialog.Description>
      <ul className="border-line mt-4 max-h-60 divide-y divide-(--line) overflow-y-auto rounded border empty:hidden">
        {sessions.map(({ sessionId, data }) => {
          const outcome = outcomes.get(sessionId);
          return (
            <li key={sessionId}>
              <label className="flex min-h-9 cursor-pointer items-center gap-3 px-3">
                <input
                  type="checkbox"
                  className="accent-emergency size-4"
                  checked={chosen.has(sessionId)}
                  disabled={outcomes.size > 0}
                  onChange={({ target }) =>
                    setChosen((before) => {
                      const after = new Set(before);
                      if (target.checked) after.add(sessionId);
                      else after.delete(sessionId);
                      return after;
                    })
                  }
                />
                <span className="text-strong truncate font-medium">{sessionId}</span>
                <span className="ml-auto">
                  {outcome === undefined ? (
                    <ProfitLoss value={data?.currentPnL} />
                  ) : outcome === "sending" ? (
                    <span className="text-muted">Sending…</span>
                  ) : outcome === "ordered" ? (
                    <span className="text-strong flex items-center gap-1">
                      <Check /> Ordered
                    </span>
                  ) : (
                    <span className="text-(--critical-text)">{outcome.message}</span>
                  )}
                </span>
              </label>
            </li>
          );
        })}
      </ul>
      {!isDone && sessions.length > 0 && (
        <label className="mt-3 block">
          <span className="text-muted mb-1 block text-xs">Reason (optional)</span>
          <input
            value={reason}
            onChange={({ target }) => setReason(target.value)}
            maxLength={200}
            className="bg-canvas border-line text-strong h-8 w-full rounded border px-2.5"
          />
        </label>
      )}
      <div className="mt-5 flex justify-end gap-2">
        <Dialog.Cancel asChild>
          <Button kind={isDone ? "primary" : "quiet"} ref={isDone ? confirm : undefined} onClick={isDone ? acknowledgeOwn : undefined}>
            {isDone ? "Done" : "Cancel"}
          </Button>
        </Dialog.Cancel>
        {!isDone && sessions.length > 0 && (
          <Button
            ref={confirm}
            kind="danger"
            disabled={isSending || chosen.size === 0}
            onClick={() => void send()}
          >
            {failed.length > 0 ? "Try again" : chosen.size === 1 ? "Stop 1 session" : `Stop ${chosen.size} sessions`}
          </Button>
        )}
      </div>
    </Dialog.Content>
  );
}
