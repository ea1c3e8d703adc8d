/** What may interrupt, when, how often quotes come; and how this device shows it all. */

import * as Dialog from "@radix-ui/react-dialog";
import { useNotificationPreferences, useWebSocketConnection } from "@tapewire/client/react";
import type { PreferencesChange } from "@tapewire/client/react";
import { useState } from "react";
import { Button } from "../ui/Button.tsx";
import { announce } from "../ui/live.tsx";
import { Skeleton } from "../ui/Panel.tsx";
import { AppearanceFields } from "./AppearanceFields.tsx";
import { Section } from "./fields.tsx";
import { NotificationFields } from "./NotificationFields.tsx";

export function PreferencesDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 bg-black/60" />
        <Dialog.Content
          aria-describedby={undefined}
          className="bg-panel border-line text-text fixed top-1/2 left-1/2 z-50 flex max-h-[calc(100dvh-2rem)] w-[min(36rem,calc(100vw-1rem))] -translate-1/2 flex-col rounded-lg border shadow-(--shadow)"
        >
          <Dialog.Title className="text-strong border-line border-b px-5 py-3 text-lg font-semibold">Preferences</Dialog.Title>
          <Body onDone={() => onOpenChange(false)} />
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Body({ onDone }: { onDone: () => void }) {
  const { preferences, error, refresh, save, isSaving } = useNotificationPreferences();
  const { isStale } = useWebSocketConnection();
  // Only what was changed here: what is changed elsewhere meanwhile stays.
  const [draft, setDraft] = useState<PreferencesChange | null>(null);
  const [failure, setFailure] = useState<Error | null>(null);

  const submit = async (event: React.FormEvent) => {
    event.preventDefault();
    if (!draft || isStale) return;
    setFailure(null);
    try {
      await save(draft);
      announce("Preferences saved.");
      onDone();
    } catch (thrown) {
      setFailure(thrown instanceof Error ? thrown : new Error(String(thrown)));
    }
  };

  return (
    <form onSubmit={(event) => void submit(event)} className="flex min-h-0 flex-col">
      <div className="min-h-0 flex-1 overflow-y-auto px-5">
        {preferences ? (
          <NotificationFields kept={preferences} draft={draft ?? {}} onChange={(change) => setDraft({ ...draft, ...change })} />
        ) : error ? (
          <div role="alert" className="bg-raised my-4 flex items-center justify-between gap-3 rounded p-3">
            <span>{`What notifies you could not be loaded: ${error.message}`}</span>
            <Button size="sm" onClick={() => void refresh()}>
              Try again
            </Button>
          </div>
        ) : (
          <Skeleton rows={5} height="h-8" />
        )}
        <Section title="On this device">
          <AppearanceFields />
        </Section>
      </div>
      <div className="border-line flex flex-wrap items-center justify-end gap-2 border-t px-5 py-3">
        <p role="status" className="text-warning mr-auto text-xs">
          {failure ? `Not saved: ${failure.message}` : draft && isStale ? "There is no connection: nothing can be saved now." : ""}
        </p>
        <Dialog.Close asChild>
          <Button kind="quiet">{draft ? "Cancel" : "Close"}</Button>
        </Dialog.Close>
        <Button type="submit" kind="primary" disabled={!draft || isStale || isSaving}>
          {isSaving ? "Saving…" : "Save"}
        </Button>
      </div>
    </form>
  );
}
