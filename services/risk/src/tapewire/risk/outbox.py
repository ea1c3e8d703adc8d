"""The outbox's publisher: committed messages to the broker, in order, each until confirmed."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from tapewire.broker import CONNECTION_ERRORS, BrokerError, Link, Publisher, declare, topology
from tapewire.risk.outgoing import Outgoing
from tapewire.risk.stopping import Stopping
from tapewire.risk.store import STUCK_MS, Store
from tapewire.service import metrics

log = logging.getLogger(__name__)

BATCH: Final = 500
POLL_S: Final = 0.25  # for what another process committed or left behind
PAUSE_S: Final = 1.0  # after a fault
LOCK: Final = 0x7461_7065  # PostgreSQL advisory lock: one process publishes at a time


class Outbox:
    """Publishes what the store's outbox holds.

    Killed between a confirm and the note of it, the message goes out again under the same id:
    that is the one repetition there is, and inboxes and clients know it by its id.

    Args:
        store: where the outbox is.
        link: of the publisher.
        publisher: with confirms.
        stopping: told of every confirm.
    """

    name = "outbox"

    def __init__(self, store: Store, link: Link, publisher: Publisher, stopping: Stopping) -> None:
        self._store = store
        self._link = link
        self._declared: int | None = None  # the connection on which the topology was looked at
        self._publisher = publisher
        self._stopping = stopping
        self._waiting = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._fault: str | None = None

    def wake(self) -> None:
        """There is something to send."""
        self._waiting.set()

    async def start(self) -> None:
        """Begin to publish, what an earlier process left first."""
        self._task = asyncio.create_task(self._keep(), name=self.name)

    async def drain(self) -> None:
        """Send what is committed, unless the broker is away: then it keeps."""
        while self._publisher.health() is None and (await self._store.backlog())[0]:
            self.wake()
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Stop; what is unsent stays in the store."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def health(self) -> str | None:
        """Return None unless the last try failed."""
        return self._fault

    async def _keep(self) -> None:
        while True:
            try:
                self._waiting.clear()
                more = await self._publish_waiting()
                self._fault = None
                await self._measure()
            except (BrokerError, SQLAlchemyError, *CONNECTION_ERRORS) as error:
                self._fault = f"{type(error).__name__}: {error}"[:200]
                log.warning("outbox", extra={"fault": self._fault})
                await asyncio.sleep(PAUSE_S)
                continue
            if not more:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._waiting.wait(), POLL_S)

    async def _publish_waiting(self) -> bool:
        """Publish what waits; return whether there may be more."""
        async with self._my_turn() as mine:
            if not mine:
                return False
            if not (waiting := await self._store.unsent(limit=BATCH)):
                return False
            await self._declare()
            lanes: dict[str, list[tuple[int, Outgoing]]] = defaultdict(list)
            for seq, message in waiting:
                lanes[message.lane].append((seq, message))
            done = await asyncio.gather(
                *(self._publish_lane(lane) for lane in lanes.values()), return_exceptions=True
            )
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome
        return len(waiting) == BATCH

    async def _declare(self) -> None:
        """See to it that what keeps a critical alert is there: else it is confirmed and lost."""
        if self._declared != self._link.reconnects:
            connection = self._link.reconnects
            await declare(self._link, topology.FLEET)
            self._declared = connection

    async def _publish_lane(self, lane: list[tuple[int, Outgoing]]) -> None:
        for seq, message in lane:
            headers = {"traceparent": message.traceparent} if message.traceparent else None
            await self._publisher.publish(
                message.exchange,
                message.routing_key,
                message.body,
                type=message.type,
                message_id=message.message_id,
                timestamp=message.timestamp,
                headers=headers,
            )
            await self._stopping.sent(seq, message.stop_id)

    @asynccontextmanager
    async def _my_turn(self) -> AsyncGenerator[bool]:
        """Yield whether this process may publish; on SQLite there is only one process."""
        if self._store.engine.dialect.name == "sqlite":
            yield True
            return
        async with self._store.engine.begin() as connection:
            await connection.execute(
                text(f"SET LOCAL idle_in_transaction_session_timeout = {STUCK_MS}")
            )
            mine = await connection.scalar(
                text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": LOCK}
            )
            yield bool(mine)

    async def _measure(self) -> None:
        count, oldest = await self._store.backlog()
        metrics.gauge(metrics.OUTBOX_DEPTH).set(count)
        age = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
        metrics.gauge(metrics.OUTBOX_OLDEST).set(age)
