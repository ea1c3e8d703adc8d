"""What an event costs risk and desk, which write SQL: fifty a second, and thousands that wait.

Half are session updates, half trades, of a hundred sessions. They are published as ingest does,
while the process is stopped (SIGSTOP); the clock runs from SIGCONT until its database has the last.
"""

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from bench.figures import Figure
from bench.machine import CLIENT_CORE, CpuClock, pinned
from bench.scenarios.scenario import Options, Scenario
from bench.servers import broker, service, vhost
from tapewire.broker import Link, Message, Publisher, Role
from tapewire.contracts import encode, new_id, parse_event, route

WAITING: Final = 5000
SESSIONS: Final = 100
PER_S: Final = 50
PACED_S: Final = 5.0
DEADLINE_S: Final = 60.0
COUNT: Final = {
    "risk": "SELECT count(*) FROM applied_events",
    "desk": "SELECT count(*) FROM events",
}
"""How many events are committed; desk keeps trades by their ids, and all in order."""
OF_ALL: Final = {"risk": 1.0, "desk": 0.5}


def event(number: int) -> Message:
    """Return the next event, as ingest publishes it."""
    session = number // 2 % SESSIONS
    whose = {"userId": f"u-{session // 5}", "sessionId": f"s-{session}"}
    if number % 2:
        fields: dict[str, Any] = {"type": "trade_executed", "symbol": "SPY", "side": "buy"}
        fields |= {"quantity": 1, "price": 512.25, "orderId": f"o-{number}", "realizedPnL": -1.5}
    else:
        fields = {"type": "session_status", "status": "active"}
        fields |= {"data": {"currentPnL": -412.5, "totalTrades": number, "timeElapsed": 5400}}
    made = parse_event({"id": new_id(), **whose, **fields})
    exchange, key = route(made)
    hashed = {"session": f"{whose['userId']}.{whose['sessionId']}"}
    return Message(exchange, key, encode(made), made.type, made.id, headers=hashed)


class Spent(NamedTuple):
    """What some events took."""

    events: int
    cpu_s: float
    wall_s: float


class _Subject:
    """A service with a database, and how many events it was given."""

    def __init__(self, name: str, pid: int, data: Path, publisher: Publisher) -> None:
        self._name = name
        self._pid = pid
        self._database = data / f"{name}.sqlite3"
        self._publisher = publisher
        self._numbers = count()
        self._given = 0

    async def paced(self) -> Spent:
        """Give it fifty events a second, while others wait for nothing."""
        events = int(PACED_S * PER_S)
        clock, due = CpuClock(self._pid), time.monotonic()
        for _ in range(events):
            await self._publish(1)
            due += 1 / PER_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await self._entered()
        return Spent(events, *clock.lap())

    async def waiting(self) -> Spent:
        """Let events wait, and then take them."""
        os.kill(self._pid, signal.SIGSTOP)
        try:
            await self._publish(WAITING)
            clock = CpuClock(self._pid)
        finally:
            os.kill(self._pid, signal.SIGCONT)
        await self._entered()
        return Spent(WAITING, *clock.lap())

    async def _publish(self, events: int) -> None:
        self._given += events
        await self._publisher.publish_all([event(next(self._numbers)) for _ in range(events)])

    async def _entered(self) -> None:
        expected = self._given * OF_ALL[self._name]
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as database:
            async with asyncio.timeout(DEADLINE_S):
                while database.execute(COUNT[self._name]).fetchone()[0] < expected:
                    await asyncio.sleep(0.01)


async def run(options: Options) -> list[Figure]:
    """Measure each service by itself, on a core of its own."""
    figures: list[Figure] = []
    with broker() as node, pinned(CLIENT_CORE):
        for name in COUNT:
            amqp = vhost(node)
            with TemporaryDirectory(prefix="tapewire-bench-") as data:
                async with service(name, amqp, TAPEWIRE_DATA_DIR=data) as (process, _):
                    link = Link(amqp, Role.PUBLISH, name="bench")
                    await link.start()
                    publisher = Publisher(link)
                    subject = _Subject(name, process.pid, Path(data), publisher)
                    await subject.waiting()  # statements are compiled, caches are warm
                    paced = await subject.paced()
                    taken = [await subject.waiting() for _ in range(min(options.runs, 3))]
                    await publisher.close()
                    await link.close()
            figures += _figures(name, paced, taken)
    return figures


def _figures(name: str, paced: Spent, taken: Sequence[Spent]) -> list[Figure]:
    rates = tuple(spent.events / spent.cpu_s for spent in taken)
    by_the_clock = max(spent.events / spent.wall_s for spent in taken)
    notes = {"by_the_clock": round(by_the_clock), "waiting": WAITING}
    each = 1e3 * paced.cpu_s / paced.events
    return [
        Figure(f"backlog, {name}: events that waited", "events/s/core", rates, notes=notes),
        Figure(f"backlog, {name}: an event, {PER_S} a second", "ms of CPU", (each,)),
    ]


BACKLOG: Final = Scenario("backlog", "full", run)
