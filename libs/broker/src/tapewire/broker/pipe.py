# aiormq leaves its futures and its queue without their types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""What a publisher has on its way: written in order, many frames to a write, confirmed one by one.

aiormq's own ``basic_publish`` takes a lock, a timeout and a dozen callbacks for each message, about
200 µs. Here messages wait in a list; one task frames all of them, hands them to aiormq's writer as
one piece, and leaves their futures where aiormq looks for them when a confirm comes.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

from aiormq import Channel, spec
from aiormq.abc import ChannelFrame
from aiormq.exceptions import ChannelInvalidStateError

from tapewire.broker.cancelling import cancelled
from tapewire.broker.framing import Stencil, content, method

FRAMES_PER_WRITE: Final = 128  # messages; a write of 100 KB does not keep others waiting for long

SWEEP_AT: Final = 1024  # waiting messages; beyond it those that were given up are let go


_PUBLISH, _MANDATORY = (
    Stencil(spec.Basic.Publish(exchange="to", routing_key="key", mandatory=is_so), "to", "key")
    for is_so in (False, True)
)


class Outgoing(NamedTuple):
    """One message as it is written.

    Attributes:
        properties: pamqp's, or as it marshals them.
    """

    exchange: str
    routing_key: str
    body: bytes
    properties: spec.Basic.Properties | bytes
    mandatory: bool = False


class Pipe:
    """Messages from ``put`` to their confirms, over AMQP channels that come and go.

    Args:
        open_channel: returns an open channel with confirms, waiting for the broker.
        window: confirms in flight; more wait here, in their order.
    """

    def __init__(self, open_channel: Callable[[], Awaitable[Channel]], window: int) -> None:
        self._open = open_channel
        self._window = window
        self._waiting: deque[tuple[Outgoing, asyncio.Future[Any]]] = deque()
        self._sweep_at = SWEEP_AT
        self._writing: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._flying = 0
        self._channel: Channel | None = None

    def put(self, message: Outgoing) -> asyncio.Future[Any]:
        """Have ``message`` written behind all before it; the future is done with its confirm.

        It raises what aiormq raises for a refusal, a return and a lost channel. Cancelled before
        it was written, the message never is.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if len(self._waiting) >= self._sweep_at:  # the broker is away, and callers have given up
            self._waiting = deque(one for one in self._waiting if not one[1].done())
            self._sweep_at = max(SWEEP_AT, 2 * len(self._waiting))
        self._waiting.append((message, future))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name="publisher")
        return future

    async def close(self) -> None:
        """Write no more."""
        task, self._writing = self._writing, None
        await cancelled(task)
        while self._waiting:
            self._waiting.popleft()[1].cancel()

    async def _write(self) -> None:
        while self._waiting:
            if self._flying >= self._window:
                self._room.clear()
                await self._room.wait()
                continue
            if self._waiting[0][1].done():  # given up while it waited
                self._waiting.popleft()
                continue
            try:
                channel = await self._open()
                self._watch(channel)
                async with channel.lock:
                    await self._write_some(channel)
            except Exception as error:  # whose cause is the first's; the others try anew
                if self._waiting:
                    _, future = self._waiting.popleft()
                    if not future.done():
                        future.set_exception(error)

    async def _write_some(self, channel: Channel) -> None:
        """Write what fits. Runs under the channel's lock: tags are counted as they are written."""
        data = bytearray()
        futures: list[asyncio.Future[Any]] = []
        while self._waiting and self._flying < self._window and len(futures) < FRAMES_PER_WRITE:
            message, future = self._waiting.popleft()
            if future.done():
                continue
            try:
                frames = framed(channel, message)
            except Exception as error:  # what cannot be framed was not written: no tag is used
                future.set_exception(error)
                continue
            data += frames
            channel.delivery_tag += 1
            channel.confirmations[channel.delivery_tag] = future
            given = message.properties
            if message.mandatory and not isinstance(given, bytes) and given.message_id is not None:
                self._expect_return(channel, given.message_id, future)
            futures.append(future)
            self._flying += 1
            future.add_done_callback(self._landed)
        if data:
            await channel.write_queue.put(ChannelFrame(bytes(data), should_close=False))

    def _expect_return(
        self, channel: Channel, message_id: str, future: asyncio.Future[Any]
    ) -> None:
        channel.message_id_delivery_tag[message_id] = channel.delivery_tag
        future.add_done_callback(lambda _: channel.message_id_delivery_tag.pop(message_id, None))

    def _landed(self, _: asyncio.Future[Any]) -> None:
        self._flying -= 1
        self._room.set()

    def _watch(self, channel: Channel) -> None:
        if channel is not self._channel:
            self._channel = channel
            closing: asyncio.Future[Any] = channel.closing
            closing.add_done_callback(partial(_reject, channel))


def _reject(channel: Channel, closed: asyncio.Future[Any]) -> None:
    """Fail what is on its way on a channel that closed: it may or may not have come."""
    reason = None if closed.cancelled() else closed.exception()
    error = reason or ChannelInvalidStateError("the channel closed before the confirm")
    flying: list[asyncio.Future[Any]] = list(channel.confirmations.values())
    for future in flying:
        if not future.done():
            future.set_exception(error)


def framed(channel: Channel, message: Outgoing) -> bytes:
    """Return the frames of one message."""
    number, given = channel.number, message.properties
    properties = given if isinstance(given, bytes) else given.marshal()
    return _publish(number, message.exchange, message.routing_key, message.mandatory) + content(
        number, properties, message.body, channel.max_content_size
    )


@lru_cache(maxsize=4096)
def _publish(number: int, exchange: str, routing_key: str, mandatory: bool) -> bytes:
    return method(number, (_MANDATORY if mandatory else _PUBLISH).fill(exchange, routing_key))
