import { useWebSocketConnection } from "@tapewire/client/react";
import type { Session } from "@tapewire/client/react";
import { isLive } from "../sessions/session.ts";
import { StopButton } from "../stop/StopButton.tsx";
import { ProfitLoss } from "../ui/Figure.tsx";
import { amount, time } from "../ui/format.ts";
import { Logo } from "../ui/icons.tsx";
import { useNow } from "../ui/useNow.ts";
import { ConnectionPill } from "./ConnectionPill.tsx";
import { Menu } from "./Menu.tsx";

/** The whole desk's figures: what running sessions are worth, and what today's made. Pure. */
export function totals(sessions: readonly Session[], today: number) {
  const sum = (values: number[]) => (values.length > 0 ? values.reduce((total, value) => total + value, 0) : undefined);
  const running = sessions.filter(isLive).flatMap(({ data }) => data?.equity ?? []);
  const todays = sessions.filter(({ startedAt }) => startedAt === undefined || Date.parse(startedAt) >= today);
  return { equity: sum(running), dayPnL: sum(todays.flatMap(({ data }) => data?.currentPnL ?? [])) };
}

export function TopBar({ sessions }: { sessions: readonly Session[] }) {
  const { isStale } = useWebSocketConnection();
  const { equity, dayPnL } = totals(sessions, new Date().setHours(0, 0, 0, 0));
  return (
    <header className="bg-panel border-line sticky top-0 z-20 flex flex-wrap items-center gap-x-3 gap-y-2 border-b px-3 py-2 sm:gap-x-4 lg:h-12 lg:flex-nowrap lg:py-0">
      <span className="text-strong flex items-center gap-1.5 font-semibold">
        <Logo className="size-5" /> <span className="max-sm:sr-only">Tapewire</span>
      </span>
      <ConnectionPill />
      <dl className="order-last flex w-full items-baseline justify-between gap-5 md:order-none md:ml-auto md:w-auto md:justify-end">
        <Figure label="Equity">
          <span className={`tabular-nums ${isStale ? "text-muted" : "text-strong"}`}>{amount(equity)}</span>
        </Figure>
        <Figure label="Day P&L">
          <ProfitLoss value={dayPnL} stale={isStale} />
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
