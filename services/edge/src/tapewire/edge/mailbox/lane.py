"""A lane: one AMQP channel on which many trays are consumed and settled.

An AMQP channel for every tray would cost more than the tray; one for all would make one refusal
everybody's. So there are a few lanes for each kind of tray, and a queue's name chooses its lane.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final
from zlib import crc32

from aiormq import spec
from aiormq.abc import DeliveredMessage
from pamqp.base import Frame

from tapewire.broker import CONNECTION_ERRORS, Link, OnDelivery, Tap

log = logging.getLogger(__name__)

LANES: Final = 8  # of each kind: an eighth of the users shares a channel's fate
# For one answer of the broker. Past it the lane is closed and opened again, with all its trays.
DEADLINE_S: Final = 10.0


class Lane:
    """One consuming AMQP channel; opened when first needed, and again after it closed.

    Args:
        link: a connection of role ``consume``.
        prefetch: of each consumer.
        on_lost: called once for each channel that closed, with the lane; the broker has requeued
            every delivery of it by then.
        on_cancelled: called with a consumer tag that the broker cancelled (its queue is gone).
    """

    def __init__(
        self,
        link: Link,
        prefetch: int,
        on_lost: Callable[["Lane"], None],
        on_cancelled: Callable[[str], None],
    ) -> None:
        self._link = link
        self._prefetch = prefetch
        self._on_lost = on_lost
        self._on_cancelled = on_cancelled
        self._tap: Tap | None = None
        self._opening = asyncio.Lock()
        self._due: list[Frame] = []

    @property
    def returns_in_order(self) -> bool:
        """Whether the broker keeps the order of what a quorum queue is given back at once.

        Measured (docs/adr/0007): of 256 nacks, 3.10.8 has the first 33 in order and the rest in
        none; 4.0 has all in order.
        """
        return self._tap is None or self._tap.server_version >= (4, 0)

    async def consume(self, queue: str, tag: str, on_delivery: OnDelivery) -> None:
        """Consume ``queue`` under the consumer tag ``tag``."""
        tap = await self._open()

        def deliver(message: DeliveredMessage) -> None:
            if tap is self._tap:  # else the broker has requeued it by now
                on_delivery(message)

        await self._answered(tap, tap.consume(queue, deliver, tag=tag))

    async def catch_up(self) -> None:
        """Wait for what the broker has sent so far."""
        tap = self._tap
        if tap is not None and not tap.is_closed:
            await self._round_trip(tap)

    async def cancel(self, consumer: str, returned: list[int]) -> None:
        """Cancel a consumer and requeue ``returned`` in one write, in this order.

        So nothing comes between the two at the broker: the next consumer finds what we held before
        what we never got. What was on its way to us still arrives; once this returns, nothing does.
        """
        self.flush()
        tap = self._tap
        if tap is None or tap.is_closed:
            return
        frames: list[Frame] = [spec.Basic.Cancel(consumer_tag=consumer, nowait=True)]
        frames += [spec.Basic.Nack(delivery_tag=delivery, requeue=True) for delivery in returned]
        tap.send(frames)
        await self._round_trip(tap)
        tap.forget(consumer)

    def settle(self, tag: int, *, requeue: bool) -> None:
        """Ack, or nack with requeue, in the order of the calls. Never rejects."""
        if not self._due:  # what one turn of the loop settles is one write
            asyncio.get_running_loop().call_soon(self.flush)
        self._due.append(
            spec.Basic.Nack(delivery_tag=tag, requeue=True)
            if requeue
            else spec.Basic.Ack(delivery_tag=tag)
        )

    def flush(self) -> None:
        """Hand every settlement so far to the connection."""
        due, self._due = self._due, []
        if due and self._tap is not None:
            self._tap.send(due)

    async def reset(self) -> None:
        """Close the channel: the broker requeues what is not settled, and every tray reattaches."""
        await _close(self._tap)

    async def close(self) -> None:
        """Close the channel; the broker requeues what is not settled."""
        tap, self._tap = self._tap, None
        await _close(tap)

    async def _open(self) -> Tap:
        if (tap := self._tap) is not None and not (tap.is_closed or tap.channel.is_closed):
            return tap
        async with self._opening:
            if self._tap is not None and (self._tap.is_closed or self._tap.channel.is_closed):
                self._lost(self._tap)
            if self._tap is None:
                tap = await self._link.tap()
                tap.deadline_s = DEADLINE_S
                await self._round_trip(tap)
                tap.channel.on_consumer_cancel_callbacks.add(self._cancelled)
                self._tap = tap
                self._due.clear()
                tap.channel.closing.add_done_callback(partial(self._closed, tap))
            return self._tap

    async def _round_trip(self, tap: Tap) -> None:
        """Ask something: deliveries sent before that are ahead of its reply."""
        await self._answered(tap, tap.ask(spec.Basic.Qos(prefetch_count=self._prefetch)))

    async def _answered(self, tap: Tap, answer: Awaitable[object]) -> None:
        """Wait for an answer; give a channel up on which there was none in time."""
        try:
            await answer
        except TimeoutError:
            self._lost(tap)
            raise

    def _closed(self, tap: Tap, _: object) -> None:
        self._lost(tap)

    async def _cancelled(self, frame: spec.Basic.Cancel) -> None:
        self._on_cancelled(frame.consumer_tag or "")

    def _lost(self, tap: Tap) -> None:
        if self._tap is tap:
            self._tap = None
            self._due.clear()
            self._on_lost(self)


async def _close(tap: Tap | None) -> None:
    if tap is not None and not tap.channel.is_closed:
        try:
            await tap.channel.close()
        except CONNECTION_ERRORS as error:
            log.debug("lane: %s", error)


class Lanes:
    """The lanes of one kind of tray."""

    def __init__(
        self,
        link: Link,
        prefetch: int,
        on_lost: Callable[[Lane], None],
        on_cancelled: Callable[[str], None],
    ) -> None:
        self._lanes = [Lane(link, prefetch, on_lost, on_cancelled) for _ in range(LANES)]

    def of(self, queue: str) -> Lane:
        """Return the lane of a queue."""
        return self._lanes[crc32(queue.encode()) % len(self._lanes)]

    def flush(self) -> None:
        """Hand every settlement to the connection."""
        for lane in self._lanes:
            lane.flush()

    async def close(self) -> None:
        """Close every lane."""
        for lane in self._lanes:
            await lane.close()
