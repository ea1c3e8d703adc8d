/** The desk: what stands where. */

import { useAlgorithmDecisions } from "@tapewire/client/react";
import { useState } from "react";
import { Toaster } from "sonner";
import { AlertPanel } from "../alerts/AlertPanel.tsx";
import { CriticalAlerts } from "../alerts/CriticalAlerts.tsx";
import { useToasts } from "../alerts/toasts.ts";
import { useAppearance } from "../app/appearance.ts";
import { ChartPanel } from "../charts/ChartPanel.tsx";
import { DecisionFeed } from "../decisions/DecisionFeed.tsx";
import { QuotePanel } from "../quotes/QuotePanel.tsx";
import { useSymbols } from "../quotes/useSymbols.ts";
import { SessionList } from "../sessions/SessionList.tsx";
import { useSessions } from "../sessions/useSessions.ts";
import { Boundary } from "../ui/Boundary.tsx";
import { LiveRegions } from "../ui/live.tsx";
import { TopBar } from "./TopBar.tsx";

const TOAST = {
  classNames: {
    toast: "!bg-raised !border-line !text-strong !font-sans !rounded-md !p-3 !gap-3 !shadow-(--shadow)",
    description: "!text-text",
    warning: "[&_[data-icon]]:!text-warning",
    info: "[&_[data-icon]]:!text-link",
  },
};

export function Layout() {
  const { theme } = useAppearance();
  const { sessions, isKnown, isLoading, error } = useSessions();
  const decisions = useAlgorithmDecisions();
  const [chosen, setChosen] = useState<string | null>(null);
  const [symbol, setSymbol] = useState<string | null>(null);
  useToasts();
  const selected = sessions.find(({ sessionId }) => sessionId === chosen) ?? sessions[0] ?? null;
  const { symbols } = useSymbols(sessions);
  const charted = symbol ?? selected?.symbols?.[0] ?? (selected && isKnown ? symbols[0] : null) ?? null;
  return (
    <div className="flex min-h-dvh flex-col lg:h-dvh">
      <TopBar sessions={sessions} />
      <Boundary name="Critical alerts">
        <CriticalAlerts />
      </Boundary>
      <main className="grid min-h-0 flex-1 grid-cols-1 gap-1.5 p-1.5 md:grid-cols-[17rem_1fr] lg:grid-cols-[17rem_1fr_21rem] lg:grid-rows-[minmax(0,1fr)_minmax(9rem,27vh)]">
        <h1 className="sr-only">Trading desk</h1>
        <Boundary name="Sessions">
          <SessionList
            sessions={sessions}
            selected={selected?.sessionId ?? null}
            onSelect={setChosen}
            isLoading={isLoading}
            error={error}
          />
        </Boundary>
        <div className="flex min-h-0 min-w-0 flex-col gap-1.5">
          <Boundary name="The chart" className="flex-1">
            <ChartPanel session={selected} symbol={charted} decisions={decisions} isLoading={isLoading} isCut={error !== null} onSymbol={setSymbol} />
          </Boundary>
          <Boundary name="Quotes">
            <QuotePanel sessions={sessions} charted={charted} onSelect={setSymbol} />
          </Boundary>
        </div>
        <Boundary name="Decisions">
          <DecisionFeed decisions={decisions} isLoading={isLoading} isCut={error !== null} />
        </Boundary>
        <Boundary name="Alerts and notifications" className="md:col-span-full">
          <AlertPanel />
        </Boundary>
      </main>
      <LiveRegions />
      {/* At the left, where the table below has no buttons. */}
      <Toaster theme={theme} position="bottom-left" visibleToasts={3} gap={8} offset={16} toastOptions={TOAST} />
    </div>
  );
}
