import { useAccount, useWebSocketConnection } from "@tapewire/client/react";
import type { Session } from "@tapewire/client/react";
import { StopButton } from "../stop/StopButton.tsx";
import { ProfitLoss } from "../ui/Figure.tsx";
import { amount, duration, time } from "../ui/format.ts";
import { Logo } from "../ui/icons.tsx";
import { useNow } from "../ui/useNow.ts";
import { ConnectionPill } from "./ConnectionPill.tsx";
import { Menu } from "./Menu.tsx";

export function TopBar({ sessions }: { sessions: readonly Session[] }) {
  const { isStale, lastEventAt } = useWebSocketConnection();
  const { equity, dayPnL } = useAccount();
  const now = useNow();
  return (
    <header className="bg-panel border-line sticky top-0 z-20 flex flex-wrap items-center gap-x-3 gap-y-2 border-b px-3 py-2 sm:gap-x-4 lg:h-12 lg:flex-nowrap lg:py-0">
      <span className="text-strong flex items-center gap-1.5 font-semibold">
        <Logo className="size-5" /> <span className="max-sm:sr-only">Tapewire</span>
      </span>
      <ConnectionPill />
      <dl className="order-last flex w-full items-baseline justify-between gap-5 md:order-none md:ml-auto md:w-auto md:justify-end">
        {isStale && lastEventAt !== null && (
          <div className="text-warning text-xs tabular-nums md:max-lg:hidden xl:hidden">
            <dt className="sr-only">Figures are of</dt>
            <dd>{duration((now - lastEventAt) / 1000)} old</dd>
          </div>
        )}
        <Figure label="Equity">
          <span data-testid="equity" className={`tabular-nums ${isStale ? "text-muted" : "text-strong"}`}>{amount(equity ?? undefined)}</span>
        </Figure>
        <Figure label="Day P&L">
          <ProfitLoss value={dayPnL ?? undefined} stale={isStale} />
        </Figure>
        <Clock />
      </dl>
      <div className="ml-auto flex items-center gap-1 sm:gap-2 md:ml-0">
        <Menu />
        <StopButton sessions={sessions} />
      </div>
    </header>
  );
}

function Figure({ label, children }: { label: string; children: React.ReactNode }) {
  return (
    <div className="flex items-baseline gap-2">
      <dt className="text-muted text-xs">{label}</dt>
      <dd className="text-base font-semibold">{children}</dd>
    </div>
  );
}

function Clock() {
  return (
    <div className="hidden items-baseline gap-2 sm:flex">
      <dt className="sr-only">Time</dt>
      <dd className="text-muted tabular-nums">{time(useNow())}</dd>
    </div>
  );
}
