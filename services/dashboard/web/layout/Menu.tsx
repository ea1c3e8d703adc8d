import { useWebSocketConnection } from "@tapewire/client/react";
import { Suspense, lazy, useState } from "react";
import { useDesk } from "../app/desk.ts";
import { Gear } from "../ui/icons.tsx";

// Not there until somebody asks for it.
const PreferencesDialog = lazy(() =>
  import("../preferences/PreferencesDialog.tsx").then((module) => ({ default: module.PreferencesDialog })),
);

const ITEM = "hover:bg-panel hover:text-strong flex h-8 w-full items-center rounded px-2 text-left";

/** Who is signed in, their preferences, and the way out. */
export function Menu() {
  const { userId } = useWebSocketConnection();
  const { signOut } = useDesk();
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        popoverTarget="menu"
        aria-label={`Menu of ${userId ?? "…"}`}
        className="hover:bg-raised text-text hover:text-strong flex h-8 min-w-8 items-center gap-1.5 rounded px-2"
      >
        <Gear />
        <span className="max-w-32 truncate max-sm:hidden">{userId ?? "…"}</span>
      </button>
      <div
        id="menu"
        popover="auto"
        className="bg-raised border-line text-text fixed inset-auto top-12 right-3 m-0 w-48 rounded-md border p-1.5 shadow-(--shadow)"
      >
        <p className="text-muted truncate px-2 py-1 text-xs">{`Signed in as ${userId ?? "…"}`}</p>
        <button type="button" popoverTarget="menu" popoverTargetAction="hide" className={ITEM} onClick={() => setOpen(true)}>
          Preferences…
        </button>
        <button type="button" className={ITEM} onClick={signOut}>
          Sign out
        </button>
      </div>
      {isOpen && (
        <Suspense>
          <PreferencesDialog open onOpenChange={setOpen} />
        </Suspense>
      )}
    </>
  );
}
