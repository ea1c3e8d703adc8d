"""One trading session on paper: decisions, simulated fills, and all of it told to the desk."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from paper_strategy import Account, Decision, Quote, Strategy

from tapewire.client import EventPublisher, NotConfirmed
from tapewire.contracts import EmergencyStop

log = logging.getLogger("paper_trader")

ALGORITHM = "momentum-reversion"
EXECUTOR = "paper-trader"
MILESTONE_TRADES = 10
OWN_GUARD = 1.5  # of the loss limit: it ends by itself should nobody stop it


@dataclass(frozen=True)
class Plan:
    """What to trade, and with what at stake; amounts in the account's currency."""

    user: str
    symbols: tuple[str, ...]
    equity: float
    loss_limit: float
    time_limit_s: int
    notional: float  # a position's size
    fee: float  # per fill
    patience: int  # decisions after which a position is closed whatever it does
    decide_every_s: float = 0.8
    status_every_s: float = 1.0


class PaperSession:
    """From ``session_started`` to ``session_completed``.

    Args:
        plan: what to do.
        publisher: takes the events.
        session_id: of this session.
        quotes: the newest of each symbol; filled by whoever listens to the market.
        strategy: has seen the same quotes.
    """

    def __init__(
        self,
        plan: Plan,
        publisher: EventPublisher,
        session_id: str,
        quotes: Mapping[str, Quote],
        strategy: Strategy,
    ) -> None:
        self.id = session_id
        self._plan = plan
        self._publisher = publisher
        self._emit = publisher.session(session_id, user=plan.user)
        self._quotes = quotes
        self._strategy = strategy
        self._account = Account()
        self._began = 0.0
        self._order: asyncio.Future[EmergencyStop] = asyncio.get_running_loop().create_future()

    def stop(self, order: EmergencyStop) -> None:
        """Halt: no further order leaves, what is open stays open."""
        if not self._order.done():
            self._order.set_result(order)

    async def run(self, quit: asyncio.Event) -> None:
        """Trade until stopped, until ``quit``, or until the own guard trips."""
        plan = self._plan
        self._began = asyncio.get_running_loop().time()
        await self._insist(
            lambda: self._emit.emit_session_started(
                algorithm_id=ALGORITHM,
                symbols=plan.symbols,
                initial_equity=plan.equity,
                loss_limit=plan.loss_limit,
                time_limit_s=plan.time_limit_s,
            )
        )
        log.info("session %s began: loss limit %.2f", self.id, plan.loss_limit)
        tasks = [asyncio.create_task(work) for work in (self._trade(), self._report(), quit.wait())]
        await asyncio.wait([*tasks, self._order], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
        await self._finish("the trader was shut down" if quit.is_set() else "the own guard tripped")

    async def _finish(self, reason: str) -> None:
        account, profit = self._account, self._account.profit(self._quotes)
        order = self._order.result() if self._order.done() else None
        if order is not None:
            reason = f"emergency stop: {order.reason}"
        status: Literal["completed", "emergency_stopped"] = (
            "completed" if order is None else "emergency_stopped"
        )
        await self._insist(
            lambda: self._emit.emit_session_completed(
                money(profit),
                status=status,
                reason=reason,
                total_trades=account.trades,
                win_rate=account.win_rate,
                max_drawdown=money(account.worst_drawdown),
                duration_s=self._age_s(),
            )
        )
        if order is not None:
            await self._insist(
                lambda: self._emit.emit_emergency_stop_acknowledged(
                    order.stop_id, state="completed", executor=EXECUTOR
                )
            )
        log.info("session %s ended (%s): P&L %.2f", self.id, reason, profit)

    async def _trade(self) -> None:
        """Look at one symbol after another; return when the own guard trips."""
        plan = self._plan
        while self._account.profit(self._quotes) > -OWN_GUARD * plan.loss_limit:
            for symbol in plan.symbols:
                await asyncio.sleep(plan.decide_every_s * random.uniform(0.7, 1.3))
                if (quote := self._quotes.get(symbol)) is not None:
                    with suppress(NotConfirmed):  # untold, so not done; logged by the status
                        await self._consider(quote)

    async def _consider(self, quote: Quote) -> None:
        position = self._account.positions.get(quote.symbol)
        decision = self._strategy.decide(quote.symbol, position, self._plan.patience)
        if position is not None:
            position.age += 1
        await self._emit.emit_algorithm_decision(
            decision.action,
            decision.reasoning,
            algorithm_id=ALGORITHM,
            confidence=round(decision.confidence, 2),
            symbol=quote.symbol,
            price=money(quote.last),
            volume=quote.volume,
        )
        if quantity := self._quantity(quote, decision):
            await self._fill(quote, quantity)

    def _quantity(self, quote: Quote, decision: Decision) -> float:
        """Return how many to buy, negative to sell."""
        held = self._account.positions.get(quote.symbol)
        if decision.action == "hold":
            return 0.0
        if decision.action == "close_position":
            return -held.quantity if held else 0.0
        shares = round(self._plan.notional / quote.last, 4 if quote.last > 10_000 else 0)
        return shares if decision.action == "buy" else -shares

    async def _fill(self, quote: Quote, quantity: float) -> None:
        """Buy at the ask or sell at the bid. What was filled is told whatever it takes."""
        account, symbol = self._account, quote.symbol
        price = quote.ask if quantity > 0 else quote.bid
        closing = symbol in account.positions
        won = account.fill(symbol, quantity, price, self._plan.fee)
        await self._insist(
            lambda: self._emit.emit_trade_executed(
                symbol,
                "buy" if quantity > 0 else "sell",
                quantity=abs(quantity),
                price=money(price),
                fee=money(self._plan.fee),
                realized_pnl=money(won) if closing else None,
            )
        )
        position = account.positions.get(symbol)
        await self._insist(
            lambda: self._emit.emit_position_update(
                symbol,
                position.quantity if position else 0,
                average_price=money(position.entry) if position else None,
                market_price=money(quote.last),
                unrealized_pnl=money(account.unrealized({symbol: quote}) if position else 0),
            )
        )
        if account.trades % MILESTONE_TRADES == 0:
            profit = account.profit(self._quotes)
            await self._emit.emit_performance_milestone(
                f"{account.trades} trades", money(profit), message=f"P&L {profit:+,.2f}"
            )

    async def _report(self) -> None:
        """Tell state and figures, each second or so."""
        plan, account = self._plan, self._account
        while True:
            profit, rate = account.profit(self._quotes), account.win_rate
            try:
                await self._emit.emit_status_update(
                    money(profit),
                    realized_pnl=money(account.realized - account.fees),
                    unrealized_pnl=money(account.unrealized(self._quotes)),
                    equity=money(plan.equity + profit),
                    total_trades=account.trades,
                    loss_limit_utilization=round(max(-profit, 0) / plan.loss_limit * 100, 2),
                    time_elapsed=self._age_s(),
                    performance_score=None if rate is None else round(100 * rate, 1),
                )
            except NotConfirmed as error:
                log.warning("%s", error)  # the next one says more
            await asyncio.sleep(plan.status_every_s)

    async def _insist(self, emit: Callable[[], Awaitable[str]]) -> None:
        """Emit, and try again with the same id until the broker has it."""
        try:
            await emit()
        except NotConfirmed as error:
            event = error.event
        else:
            return
        while True:
            log.warning("%s %s is not confirmed yet", event.type, event.id)
            with suppress(NotConfirmed):
                await self._publisher.publish(event)
                return

    def _age_s(self) -> float:
        return round(asyncio.get_running_loop().time() - self._began, 1)


def money(amount: float) -> Decimal:
    """Return an amount to the cent."""
    return Decimal(f"{amount:.2f}")
