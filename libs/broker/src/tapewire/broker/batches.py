"""Consuming a queue in batches, for handlers that make one transaction of many deliveries."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, TypeAlias

from aiormq import spec
from aiormq.abc import DeliveredMessage

from tapewire.broker.consumer import Consumer, Session
from tapewire.broker.delivery import Delivery, Settlement
from tapewire.broker.figures import HANDLE_DURATION, REDELIVERED
from tapewire.broker.link import Link, when_closed
from tapewire.broker.pace import Pace
from tapewire.broker.tap import Tap
from tapewire.broker.topology import Queue, Thing

log = logging.getLogger(__name__)

BatchHandler: TypeAlias = Callable[[Sequence[Delivery]], Awaitable[Sequence[Settlement]]]


class BatchConsumer(Consumer):
    """Consumes one queue in batches: whatever has arrived, handled at once, one after the other.

    A batch begins when the one before is settled, so nothing is handled ahead of what failed: the
    first ``REQUEUE`` of a batch, or an exception, ends the AMQP channel, and all from there on
    comes again in order after a back-off. A quiet queue gives batches of one.

    Args:
        link: a connection of role ``consume``.
        queue: as for a `Consumer`.
        handler: returns the settlement of each delivery, in order.
        prefetch: deliveries in flight, and the largest batch.
        also: as for a `Consumer`.
        pace: when batches are taken; None: as soon as the one before is settled.
    """

    def __init__(
        self,
        link: Link,
        queue: Queue,
        handler: BatchHandler,
        *,
        prefetch: int,
        also: tuple[Thing, ...] = (),
        pace: Pace | None = None,
    ) -> None:
        async def one(delivery: Delivery) -> Settlement:
            return (await handler([delivery]))[0]

        super().__init__(link, queue, one, prefetch=prefetch, also=also)
        self._batch_handler = handler
        self._pace = pace

    def _new_session(self) -> Session:
        return _BatchSession(
            *(self.name, self._batch_handler, self._prefetch, self._pace, self._draining)
        )


class _BatchSession:
    """A handler for each batch."""

    def __init__(
        self,
        queue: str,
        handler: BatchHandler,
        largest: int,
        pace: Pace | None,
        draining: asyncio.Event,
    ) -> None:
        self._queue = queue
        self._handler = handler
        self._largest = largest
        self._pace = pace
        self._draining = draining
        self._arrived: asyncio.Queue[Delivery | None] = asyncio.Queue()
        self._held = 0  # deliveries of a batch that waits for more
        self._ended = False
        self.settled = 0

    async def run(self, tap: Tap, arguments: dict[str, Any] | None) -> None:
        """Consume until drained, or until the channel or a handler fails."""
        when_closed(tap.channel, self._end)
        await tap.consume(self._queue, self._arrive, tag=self._queue, arguments=arguments)
        drain = asyncio.create_task(self._end_on_drain())
        try:
            while batch := await self._next():
                if not await self._settle(tap, batch):
                    return
        finally:
            drain.cancel()

    def _arrive(self, message: DeliveredMessage) -> None:
        delivery = Delivery.of(message)
        if delivery.redelivered:
            REDELIVERED.add(1, {"queue": self._queue})
        self._arrived.put_nowait(delivery)
        if self._pace is not None and self._held:  # else looked at when it begins to wait
            if self._held + self._arrived.qsize() >= self._largest:
                self._pace.hurry()
            self._pace.look(delivery)

    async def _end_on_drain(self) -> None:
        await self._draining.wait()
        self._end()

    def _end(self) -> None:
        self._ended = True
        self._arrived.put_nowait(None)
        if self._pace is not None:
            self._pace.hurry()

    async def _next(self) -> list[Delivery]:
        """Return what has arrived, waiting for the first; nothing when this has ended."""
        batch: list[Delivery] = []
        self._take(batch, await self._arrived.get())
        if self._pace is not None and len(batch) < self._largest and not self._ended:
            self._held = len(batch)
            await self._pace.wait(batch)
            self._held = 0
            if not self._arrived.empty():
                self._take(batch, self._arrived.get_nowait())
        return [] if self._ended else batch

    def _take(self, batch: list[Delivery], delivery: Delivery | None) -> None:
        """Add ``delivery``, and what has arrived behind it, as far as there is room."""
        while delivery is not None:
            batch.append(delivery)
            if len(batch) == self._largest or self._arrived.empty():
                return
            delivery = self._arrived.get_nowait()

    async def _settle(self, tap: Tap, batch: list[Delivery]) -> bool:
        """Handle and settle a batch; return whether to go on."""
        began = monotonic()
        try:
            settlements = await self._handler(batch)
        except Exception:
            log.exception("%s: a batch of %d failed", self._queue, len(batch))
            settlements = [Settlement.REQUEUE]
        seconds = monotonic() - began
        for settlement in set(settlements):
            labels = {"queue": self._queue, "outcome": settlement.value}
            HANDLE_DURATION.record(seconds, labels)
        if all(settlement is Settlement.ACK for settlement in settlements):
            tap.ack(batch[-1].tag, multiple=True)
            self.settled += len(batch)
            return True
        for delivery, settlement in zip(batch, settlements, strict=False):
            match settlement:
                case Settlement.ACK:
                    tap.ack(delivery.tag)
                case Settlement.DEAD_LETTER:
                    tap.send((spec.Basic.Reject(delivery.tag, requeue=False),))
                case Settlement.REQUEUE:
                    return False
            self.settled += 1
        return True
