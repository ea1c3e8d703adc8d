"""A strategy that trades on paper: quotes in over the WebSocket, all that it does out again.

    python examples/paper_trader.py                      on the fleet that `tapewire up` started
    python examples/paper_trader.py --scenario steady    without the demo's bad ending

In the scenario ``demo`` it trades too much with a dear broker, so that it runs into its loss limit:
warning, critical, emergency, and the order to stop, which it obeys. After a pause it begins a new
session. The first one ends within a minute, for those who have just come; each later one takes six
to eight, so that a page left open does not fill up. In ``steady`` it goes on until it is stopped.

It finds the fleet as ``addresses.py`` says.
"""

import argparse
import asyncio
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from addresses import Addresses
from paper_session import EXECUTOR, PaperSession, Plan
from paper_strategy import Quote, Strategy

from tapewire.client import ClientError, EventPublisher, FileStore, Message, WebSocketClient
from tapewire.contracts import EmergencyStop, MarketData, RiskAlert

log = logging.getLogger("paper_trader")

SYMBOLS = "SPY,QQQ,AAPL,NVDA"


class Trader:
    """One session after another, until it is told to quit."""

    def __init__(self, plans: Iterator[Plan], publisher: EventPublisher, *, pause_s: float) -> None:
        self.quit = asyncio.Event()
        self._plans = plans
        self._publisher = publisher
        self._pause_s = pause_s
        self._quotes: dict[str, Quote] = {}
        self._strategy = Strategy()
        self._session: PaperSession | None = None

    def listen(self, client: WebSocketClient) -> None:
        """Register for quotes, alerts and orders to stop."""
        client.on_message(MarketData, self._see)
        client.on_message(EmergencyStop, self._obey)
        client.on_message(RiskAlert, self._note)
        client.on_message("*", lambda message: None)  # all else in this program's inbox: seen

    async def run(self) -> None:
        """Trade until told to quit."""
        while not self.quit.is_set():
            self._session = PaperSession(
                next(self._plans),
                self._publisher,
                f"s-{datetime.now(UTC):%m%d-%H%M%S}",
                self._quotes,
                self._strategy,
            )
            await self._session.run(self.quit)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s):
                    await self.quit.wait()

    def _see(self, message: Message[MarketData]) -> None:
        tick = message.event
        if tick.stale:
            return
        last = float(tick.last)
        quote = Quote(
            tick.symbol, float(tick.bid or last), float(tick.ask or last), last, tick.volume
        )
        self._quotes[tick.symbol] = quote
        self._strategy.see(quote)

    def _note(self, message: Message[RiskAlert]) -> None:
        log.warning("%s: %s", message["alertLevel"], message["message"])

    async def _obey(self, message: Message[EmergencyStop]) -> None:
        """Halt if the order is for the session that runs, and say that it was heard.

        Until that word is confirmed the handler raises, so the order stays unacked and comes again.
        """
        order, session = message.event, self._session
        running = session is not None and session.id == order.session_id
        log.error("ordered to stop %s: %s", order.session_id, order.reason)
        if session is not None and running:
            session.stop(order)
        await self._publisher.session(
            order.session_id, user=order.user_id
        ).emit_emergency_stop_acknowledged(
            order.stop_id, state="acknowledged" if running else "completed", executor=EXECUTOR
        )


def plans_of(scenario: str, user: str, symbols: str) -> Iterator[Plan]:
    """Yield the plans of a scenario's sessions, one after the other, for ever."""
    steady = Plan(
        user=user,
        symbols=tuple(symbols.split(",")),
        equity=100_000.0,
        loss_limit=1_200.0,
        time_limit_s=6 * 3600,
        notional=10_000.0,
        fee=0.35,
        patience=20,
    )
    if scenario != "demo":
        while True:
            yield steady
    dear = replace(steady, time_limit_s=900, patience=1)
    yield replace(
        dear, notional=30_000.0, fee=26.0
    )  # about a fill a second: the limit is 45 s away
    while True:
        yield replace(dear, notional=20_000.0, fee=4.0, decide_every_s=1.6)  # seven minutes


def arguments() -> argparse.Namespace:
    """Return the flags; their defaults come from the environment."""
    parser = argparse.ArgumentParser(description="A paper-trading strategy on the Tapewire SDK.")

    def option(flag: str, variable: str, default: str, words: str) -> None:
        value = os.environ.get(variable, default)
        parser.add_argument(flag, default=value, help=f"{words} [{variable}, {default}]")

    option("--user", "TAPEWIRE_USER", "alice", "whose sessions")
    option("--symbols", "TAPEWIRE_TRADER_SYMBOLS", SYMBOLS, "what to trade, comma-separated")
    option("--scenario", "TAPEWIRE_TRADER_SCENARIO", "demo", "demo or steady")
    option("--pause", "TAPEWIRE_TRADER_PAUSE_S", "20", "seconds between sessions")
    option("--data-dir", "TAPEWIRE_DATA_DIR", ".run/data", "where it remembers what it handled")
    return parser.parse_args()


def memory(data_dir: str, user: str) -> FileStore | None:
    """Return the memory of this program, or None where nothing can be written."""
    try:
        return FileStore(Path(data_dir) / f"paper-trader-{user}", client_id=EXECUTOR)
    except OSError as error:
        log.warning("handled messages are not remembered across restarts: %s", error)
        return None


async def main() -> None:
    """Connect, trade, and say goodbye on SIGTERM or Ctrl-C."""
    options = arguments()
    plans = plans_of(options.scenario, options.user, options.symbols)
    where = Addresses.find()
    publisher = EventPublisher(
        where.amqp or where.need("ingest"),
        token=None if where.amqp else where.token_for(options.user, "events:write"),
        name="paper-trader",
    )
    client = WebSocketClient(
        where.need("edges"),
        token=where.token_for(options.user),
        client_id=EXECUTOR,
        inbox="own",
        channels=[f"market:{symbol}" for symbol in options.symbols.split(",")],
        store=memory(options.data_dir, options.user),
    )
    async with publisher:
        trader = Trader(plans, publisher, pause_s=float(options.pause))
        trader.listen(client)
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, trader.quit.set)
        connecting = asyncio.create_task(client.connect())
        quitting = asyncio.create_task(trader.quit.wait())
        try:
            await asyncio.wait([connecting, quitting], return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                await connecting
                await trader.run()
        except ClientError as error:
            raise SystemExit(f"paper_trader: {error}") from error
        finally:
            connecting.cancel()
            quitting.cancel()
            await client.disconnect()


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    asyncio.run(main())
