"""A lane: one AMQP channel on which many trays are consumed and settled.

An AMQP channel for every tray would cost more than the tray; one for all would make one refusal
everybody's. So there are a few lanes for each kind of tray, and a queue's name chooses its lane.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias
from zlib import crc32

from aiormq import spec
from aiormq.abc import AbstractChannel, ChannelFrame, DeliveredMessage
from pamqp.base import Frame

from tapewire.broker import CONNECTION_ERRORS, Link, unless_closed
from tapewire.edge.tasks import Tasks

log = logging.getLogger(__name__)

LANES: Final = 8  # of each kind: an eighth of the users shares a channel's fate
FRAMES_PER_WRITE: Final = 64
# For one answer of the broker. Past it the lane is closed and opened again, with all its trays.
DEADLINE_S: Final = 10.0

OnDelivery: TypeAlias = Callable[[DeliveredMessage], None]


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
        tasks: Tasks,
        on_lost: Callable[["Lane"], None],
        on_cancelled: Callable[[str], None],
    ) -> None:
        self._link = link
        self._prefetch = prefetch
        self._tasks = tasks
        self._on_lost = on_lost
        self._on_cancelled = on_cancelled
        self._channel: AbstractChannel | None = None
        self._opening = asyncio.Lock()
        self._due: deque[Frame] = deque()
        self._flushing: asyncio.Task[None] | None = None

    async def consume(self, queue: str, tag: str, on_delivery: OnDelivery) -> None:
        """Consume ``queue`` under the consumer tag ``tag``."""
        channel = await self._open()

        async def deliver(message: DeliveredMessage) -> None:
            if channel is self._channel:  # else the broker has requeued it by now
                on_delivery(message)

        async with self._or_lost(channel):
            await channel.basic_consume(queue, deliver, consumer_tag=tag, timeout=DEADLINE_S)

    async def cancel(self, tag: str, returned: list[int]) -> None:
        """Cancel a consumer and requeue ``returned`` in one write, in this order.

        So nothing comes between the two at the broker: the next consumer finds what we held before
        what we never got. What was on its way to us still arrives; once this returns, nothing does.
        """
        await self.flushed()
        channel = self._channel
        if channel is None or channel.is_closed:
            return
        frames: list[Frame] = [spec.Basic.Cancel(consumer_tag=tag, nowait=True)]
        frames += [spec.Basic.Nack(delivery_tag=delivery, requeue=True) for delivery in returned]
        await _write(channel, frames)
        # A round trip: deliveries sent before the cancel are ahead of its reply.
        async with self._or_lost(channel):
            await channel.basic_qos(prefetch_count=self._prefetch, timeout=DEADLINE_S)
        channel.consumers.pop(tag, None)  # pyright: ignore[reportAttributeAccessIssue]

    def settle(self, tag: int, *, requeue: bool) -> None:
        """Ack, or nack with requeue, in the order of the calls. Never rejects."""
        self._due.append(
            spec.Basic.Nack(delivery_tag=tag, requeue=True)
            if requeue
            else spec.Basic.Ack(delivery_tag=tag)
        )
        if self._flushing is None or self._flushing.done():
            self._flushing = self._tasks.spawn(self._flush(), "settle")

    async def flushed(self) -> None:
        """Return once every settlement so far is handed to the connection."""
        while self._flushing is not None and not self._flushing.done():
            await asyncio.shield(self._flushing)

    async def reset(self) -> None:
        """Close the channel: the broker requeues what is not settled, and every tray reattaches."""
        await _close(self._channel)

    async def close(self) -> None:
        """Close the channel; the broker requeues what is not settled."""
        channel, self._channel = self._channel, None
        await _close(channel)

    async def _open(self) -> AbstractChannel:
        async with self._opening:
            if self._channel is not None and self._channel.is_closed:
                self._lost(self._channel)
            if self._channel is None:
                channel = await self._link.channel()
                await channel.basic_qos(prefetch_count=self._prefetch, timeout=DEADLINE_S)
                channel.on_consumer_cancel_callbacks.add(self._cancelled)
                self._channel = channel
                self._due.clear()
                channel.closing.add_done_callback(lambda _, c=channel: self._lost(c))
            return self._channel

    @asynccontextmanager
    async def _or_lost(self, channel: AbstractChannel) -> AsyncGenerator[None]:
        """Give a channel up on which a question was not answered; aiormq takes no other on it."""
        try:
            yield
        except TimeoutError:
            self._lost(channel)
            raise

    async def _cancelled(self, frame: spec.Basic.Cancel) -> None:
        self._on_cancelled(frame.consumer_tag or "")

    def _lost(self, channel: AbstractChannel) -> None:
        if self._channel is channel:
            self._channel = None
            self._due.clear()
            self._on_lost(self)

    async def _flush(self) -> None:
        while self._due and (channel := self._channel) is not None and not channel.is_closed:
            frames = [self._due.popleft() for _ in range(min(len(self._due), FRAMES_PER_WRITE))]
            await _write(channel, frames)


async def _close(channel: AbstractChannel | None) -> None:
    if channel is not None and not channel.is_closed:
        try:
            await channel.close()
        except CONNECTION_ERRORS as error:
            log.debug("lane: %s", error)


async def _write(channel: AbstractChannel, frames: list[Frame]) -> None:
    """Hand frames over in one piece. The queue is aiormq's own, missing from its abstract class."""
    data = ChannelFrame.marshall(channel_number=channel.number, frames=frames)
    await unless_closed(
        channel,  # pyright: ignore[reportArgumentType]
        channel.write_queue.put(data),  # pyright: ignore[reportAttributeAccessIssue]
    )


class Lanes:
    """The lanes of one kind of tray."""

    def __init__(
        self,
        link: Link,
        prefetch: int,
        tasks: Tasks,
        on_lost: Callable[[Lane], None],
        on_cancelled: Callable[[str], None],
    ) -> None:
        self._lanes = [Lane(link, prefetch, tasks, on_lost, on_cancelled) for _ in range(LANES)]

    def of(self, queue: str) -> Lane:
        """Return the lane of a queue."""
        return self._lanes[crc32(queue.encode()) % len(self._lanes)]

    async def flushed(self) -> None:
        """Return once every settlement is handed to the connection."""
        for lane in self._lanes:
            await lane.flushed()

    async def close(self) -> None:
        """Close every lane."""
        for lane in self._lanes:
            await lane.close()
