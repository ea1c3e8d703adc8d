"""The outbox's publisher: committed messages to the broker, in order, each until confirmed."""

import asyncio
import logging
from contextlib import suppress
from typing import Final

from tapewire.broker import CONNECTION_ERRORS, BrokerError, Link, Publisher, declare, topology
from tapewire.risk.outgoing import Outgoing
from tapewire.risk.stopping import Stopping
from tapewire.risk.store import Store
from tapewire.risk.turn import Turn
from tapewire.service.background import Background
from tapewire.service.backlog import Backlog
from tapewire.service.database import DATABASE_ERRORS

log = logging.getLogger(__name__)

BATCH: Final = 500
POLL_S: Final = 1.0  # for what an earlier process left behind
POLL_SHARED_S: Final = 0.1  # for what other processes commit
PAUSE_S: Final = 1.0  # after a fault

FAULTS: Final = (BrokerError, *DATABASE_ERRORS, *CONNECTION_ERRORS)

Waiting = list[tuple[int, Outgoing]]


class Outbox(Background):
    """Publishes what the store's outbox holds, each lane in order and for itself.

    A lane is a user and an exchange: an inbox that does not confirm holds up its own user's alerts
    and nobody else's, and no order to executors. Killed between a confirm and the note of it, a
    message goes out again under the same id: that is the one repetition there is, and inboxes and
    clients know it by its id.

    Args:
        store: where the outbox is.
        link: of the publisher.
        publisher: with confirms.
        stopping: told of every confirm.
    """

    name = "outbox"

    def __init__(self, store: Store, link: Link, publisher: Publisher, stopping: Stopping) -> None:
        super().__init__()
        self._store = store
        self._link = link
        self._publisher = publisher
        self._stopping = stopping
        self._turn = Turn(store.engine)
        self._declared: int | None = None  # the connection on which the topology was looked at
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._waiting = asyncio.Event()
        self._backlog = Backlog()

    def wake(self) -> None:
        """There is something to send."""
        self._waiting.set()

    async def drain(self) -> None:
        """Send what is committed, unless the broker is away: then it keeps."""
        while self._publisher.health() is None and (await self._store.backlog())[0]:
            self.wake()
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Stop; what is unsent stays in the store."""
        await super().stop()
        await self._leave()
        self._backlog.close()

    async def _run(self) -> None:
        poll_s = POLL_SHARED_S if self._turn.shared else POLL_S
        while True:
            self._waiting.clear()
            try:
                if await self._turn.mine():
                    count, oldest = await self._store.backlog()
                    self._backlog.found(count, oldest)
                    await self._declare()
                    if count:
                        await self._begin_lanes()
                else:
                    self._backlog.found(0, None)  # whose turn it is tells
                    await self._leave_lanes()
                self._note(None)
            except FAULTS as error:
                self._note(f"{type(error).__name__}: {error}"[:200])
                await self._leave_lanes()
                await asyncio.sleep(PAUSE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(poll_s):
                    await self._waiting.wait()

    async def _declare(self) -> None:
        """See to it that what keeps a critical alert is there: else it is confirmed and lost."""
        if self._declared != self._link.reconnects:
            connection = self._link.reconnects
            await declare(self._link, topology.FLEET)
            self._declared = connection

    async def _begin_lanes(self) -> None:
        """Have a task publish each lane that waits and has none."""
        busy = set(self._lanes)  # before the look: what it is about to note may look unsent
        lanes: dict[str, Waiting] = {}
        for seq, message in await self._store.unsent(but=busy, limit=BATCH):
            lanes.setdefault(message.lane, []).append((seq, message))
        for name, waiting in lanes.items():
            task = asyncio.create_task(self._publish(waiting), name="outbox lane")
            self._lanes[name] = task
            task.add_done_callback(lambda _, name=name: self._end_lane(name))

    def _end_lane(self, name: str) -> None:
        del self._lanes[name]
        self.wake()  # more of it may have come

    async def _publish(self, lane: Waiting) -> None:
        """Publish a lane's messages in order, up to the first that is not confirmed."""
        try:
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
        except FAULTS as error:
            self._declared = None  # look again: an exchange may be gone
            log.warning("not confirmed", extra={"fault": str(error)})
            await asyncio.sleep(PAUSE_S)

    async def _leave_lanes(self) -> None:
        tasks = list(self._lanes.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _leave(self) -> None:
        await self._leave_lanes()
        await self._turn.give_up()

    def _note(self, fault: str | None) -> None:
        if fault is not None and self._fault is None:
            log.warning("outbox", extra={"fault": fault})
        self._fault = fault
