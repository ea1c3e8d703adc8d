"""Handles `desk.events`: many events in one transaction, each settled when it is committed."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from tapewire.broker import Delivery, Settlement
from tapewire.contracts import InvalidEvent, parse_event
from tapewire.desk.entry import Entry, entry_of
from tapewire.desk.ledger import enter
from tapewire.service import metrics
from tapewire.service.background import Background
from tapewire.service.database import DATABASE_ERRORS
from tapewire.service.sqlite import SHORT

log = logging.getLogger(__name__)

BATCH: Final = 128  # events in one commit: a flush to the disk costs more than entering them
PREFETCH: Final = 2 * BATCH  # the next batch is here when this one is committed
PACE_S: Final = 0.2  # between commits: 2 ms of CPU and a flush each, for few events as for many
TRIES: Final = 3  # of one event by itself, while the database answers; then it is set aside

OWN_STATES: Final = frozenset({"08", "53", "55", "57", "58"})
"""Classes of SQLSTATE that are the server's trouble: connection, resources, operator, system."""

Waiting = tuple[Entry, asyncio.Future[Settlement]]


class Scribe(Background):
    """Enters what comes in, in order of arrival, as many at a time as are waiting.

    After a commit the next one waits for its pace, for a full batch, or for somebody who is about
    to read: nobody sees that events wait.

    The handler returns once the transaction with its event is committed. When the database is
    away, or has no room, everything comes again; when it refuses a batch, its events are entered
    one by one, and the one that it still refuses goes to `tw.dead`, so that it does not stop those
    behind it.
    """

    name = "scribe"

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        pace_s: float = PACE_S,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__()
        self._engine = engine.execution_options(**{SHORT: True})
        self._pace_s = pace_s
        self._now = now
        self._waiting: asyncio.Queue[Waiting] = asyncio.Queue()
        self._newest: asyncio.Future[Settlement] | None = None
        self._hurry = asyncio.Event()
        self._next_at = 0.0  # of the loop's clock: the next commit, unless there is a hurry

    async def handle(self, delivery: Delivery) -> Settlement:
        """Return what is to become of a delivery, after the commit."""
        try:
            entry = entry_of(parse_event(delivery.body))
        except InvalidEvent as error:
            log.error("no event: %s", error, extra={"type": delivery.type})
            return Settlement.DEAD_LETTER
        done: asyncio.Future[Settlement] = asyncio.get_running_loop().create_future()
        self._newest = done
        self._waiting.put_nowait((entry, done))
        if self._waiting.qsize() >= BATCH - 1:  # one is in hand
            self._hurry.set()
        return await done

    async def caught_up(self) -> None:
        """Return once everything that had come is committed; to be awaited before reading.

        For no longer than the pace: beyond that the database is busy or away, and reading may go
        on regardless.
        """
        if self._newest is not None and not self._newest.done():
            self._hurry.set()
            await asyncio.wait([self._newest], timeout=self._pace_s)

    async def drain(self) -> None:
        """Nothing to finish: the consumer waits for each of its deliveries."""

    async def _run(self) -> None:
        while True:
            batch = [await self._waiting.get()]
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._next_at):
                    await self._hurry.wait()
            self._hurry.clear()
            self._next_at = asyncio.get_running_loop().time() + self._pace_s
            while len(batch) < BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            # Whoever was cancelled while waiting gets it again: its delivery was given back.
            batch = [(entry, done) for entry, done in batch if not done.cancelled()]
            for (_, done), settlement in zip(batch, await self._settle(batch), strict=True):
                if not done.done():
                    done.set_result(settlement)

    async def _settle(self, batch: Sequence[Waiting]) -> list[Settlement]:
        entries = [entry for entry, _ in batch]
        try:
            await self._commit(entries)
        except Exception as error:
            if _is_the_databases_own(error) or not await self._answers():
                log.warning("events not entered: %s", error)
                return [Settlement.REQUEUE] * len(batch)
            log.warning("batch refused, entering one by one: %s", error)
            return [await self._settle_one(entry) for entry in entries]
        return [Settlement.ACK] * len(batch)

    async def _settle_one(self, entry: Entry) -> Settlement:
        for _ in range(TRIES):
            try:
                await self._commit([entry])
            except Exception as error:
                if _is_the_databases_own(error) or not await self._answers():
                    return Settlement.REQUEUE
                log.exception("event refused by the database", extra={"type": entry.type})
            else:
                return Settlement.ACK
        return Settlement.DEAD_LETTER

    async def _commit(self, entries: list[Entry]) -> None:
        if not entries:
            return
        async with self._engine.begin() as connection:
            new = await enter(connection, entries, now=self._now())
        for entry in new:
            if entry.level is not None:
                metrics.counter(metrics.NOTIFICATIONS).add(1, {"type": entry.type})

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(5), self._engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except DATABASE_ERRORS:
            return False
        return True


def _is_the_databases_own(error: Exception) -> bool:
    """Return whether the trouble is the database's, such as a full disk, and not the event's."""
    # SQLite's: full, locked, I/O error; a connection's: refused, or silent for too long
    if isinstance(error, (OperationalError, OSError)):
        return True
    state = str(getattr(error.orig, "sqlstate", "")) if isinstance(error, DBAPIError) else ""
    return state[:2] in OWN_STATES
