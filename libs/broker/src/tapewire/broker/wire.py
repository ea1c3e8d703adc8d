# aiormq leaves its futures without their types:
# pyright: reportUnknownMemberType=false
"""An AMQP connection's bytes, sorted: what is tapped goes by the short way, all else to aiormq.

aiormq reads each frame by three waits, hands it to its channel's task through a queue, and starts a
task for each delivery: 70 µs for a message that takes 15 to decode. Here whatever the socket gave
is cut into frames at once. Those of an AMQP channel with a ``Tap`` that are the tap's affair
(deliveries to its consumers, answers to its questions) are decoded where they stand; all others
reach aiormq as if nothing had happened. Handshake, heartbeats and closing stay aiormq's, frames
are decoded by pamqp (ADR 15).
"""

import asyncio
import logging
import struct
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from ssl import SSLContext
from time import monotonic
from typing import Any, Final, NamedTuple, SupportsIndex, TypeAlias, cast

import aio_pika
from aiormq import Channel, Connection, spec
from aiormq.abc import DeliveredMessage
from aiormq.channel import exception_by_code
from aiormq.connection import TransportFactory
from aiormq.exceptions import AMQPConnectionError, AMQPError, ChannelInvalidStateError
from pamqp import frame as amqp
from pamqp.base import Frame
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat
from yarl import URL

from tapewire.broker.framing import (
    BODY,
    HEAD,
    HEADER,
    HEARTBEAT,
    LAST,
    METHOD,
    Question,
    Stencil,
    method,
)
from tapewire.broker.pipe import Outgoing, framed

log = logging.getLogger(__name__)

OnDelivery: TypeAlias = Callable[[DeliveredMessage], object]

_HEAD_BYTES: Final = HEAD.size
_FRAME_TYPES: Final = frozenset({METHOD, HEADER, BODY, HEARTBEAT})
_END: Final = LAST[0]
_DELIVER: Final = struct.pack(">HH", 60, 60)
_DECLARED: Final = struct.pack(">I", spec.Queue.DeclareOk.index)
_CHANNEL_CLOSE: Final = struct.pack(">HH", 20, 40)
_ANSWERS: Final = frozenset(
    struct.pack(">I", method.index)
    for method in (
        spec.Basic.CancelOk,
        spec.Basic.ConsumeOk,
        spec.Basic.QosOk,
        spec.Queue.BindOk,
        spec.Queue.DeclareOk,
        spec.Queue.UnbindOk,
    )
)
_CONSUME: Final = Stencil(spec.Basic.Consume(queue="queue", consumer_tag="tag"), "queue", "tag")
_HEARTBEAT: Final = Heartbeat().marshal()
SIGN_OF_LIFE_S: Final = 1.0  # aiormq gives a connection up on which it reads nothing


class _Content(NamedTuple):
    """A delivery of which not all has come."""

    deliver: spec.Basic.Deliver
    on_delivery: OnDelivery


class Tap:
    """One AMQP channel, and what is said on it by the short way.

    Questions may be under way at once, and are answered in order. A refusal closes the channel and
    fails all of them. Do not ask through ``channel`` while an answer is awaited here.

    Attributes:
        channel: aiormq's, for everything else.
        deadline_s: a question that has no answer by then ends the channel, and all that wait on it
            get a `TimeoutError`. None: they wait for as long as the connection is there.
        is_closed: the broker, the connection or we ended it. ``channel`` may not know it yet.
    """

    def __init__(self, wire: "Wire", channel: Channel) -> None:
        self.channel = channel
        self.is_closed = channel.is_closed
        self.deadline_s: float | None = None
        self._wire = wire
        self._number = channel.number
        self._asked: deque[tuple[asyncio.Future[Any], float]] = deque()  # and since when
        self._late: asyncio.TimerHandle | None = None
        self._consumers: dict[str, OnDelivery] = {}
        self._content: _Content | None = None
        self._header: ContentHeader | None = None
        self._parts: list[bytes] = []
        self._missing = 0

    @property
    def server_version(self) -> tuple[int, int]:
        """The broker's version, without what comes behind the second number."""
        connection = cast("Connection", self.channel.connection)
        major, minor, *_ = str(connection.server_properties["version"]).split(".")
        return int(major), int(minor)

    def ask(self, question: Question) -> "asyncio.Future[Any]":
        """Send a question that has an answer; the future is done with it.

        Only a declaration's says something; the others' is None. Given up (cancelled), an answer is
        let go when it comes.

        Raises:
            ChannelInvalidStateError: the channel is closed. Later refusals are the future's.
        """
        return self.ask_all((question,))[0]

    def ask_all(self, questions: Iterable[Question]) -> "list[asyncio.Future[Any]]":
        """Send questions in one piece; return a future for each answer."""
        if self.is_closed:
            raise ChannelInvalidStateError(f"{self.channel!r} closed")
        loop = asyncio.get_running_loop()
        now = loop.time()
        pieces = [self._framed(question) for question in questions]
        futures: list[asyncio.Future[Any]] = [loop.create_future() for _ in pieces]
        self._asked.extend([(future, now) for future in futures])
        if self.deadline_s is not None and self._late is None:
            self._late = loop.call_at(now + self.deadline_s, self._look)
        self._wire.write(b"".join(pieces))
        return futures

    def _framed(self, question: Question) -> bytes:
        if isinstance(question, bytes):
            return method(self._number, question)
        return amqp.marshal(question, self._number)

    def _look(self) -> None:
        """Give up when the oldest question is too old; else look when it will be."""
        self._late = None
        if self.deadline_s is None or not self._asked:
            return
        loop = asyncio.get_running_loop()
        due = self._asked[0][1] + self.deadline_s
        if loop.time() >= due:
            self.abandon(TimeoutError())
        else:
            self._late = loop.call_at(due, self._look)

    def send(self, frames: Iterable[Frame]) -> None:
        """Send what has no answer, in one piece. Nothing happens once the channel is closed."""
        if not self.is_closed:
            self._wire.write(b"".join([amqp.marshal(one, self._number) for one in frames]))

    def ack(self, tag: int, *, multiple: bool = False) -> None:
        """Acknowledge one delivery, or all up to it. Nothing happens once it is closed."""
        self.send((spec.Basic.Ack(delivery_tag=tag, multiple=multiple),))

    def publish(self, messages: Iterable[Outgoing]) -> None:
        """Publish in one piece, without confirms. Nothing happens once the channel is closed."""
        if not self.is_closed:
            self._wire.write(b"".join([framed(self.channel, one) for one in messages]))

    async def consume(
        self,
        queue: str,
        on_delivery: OnDelivery,
        *,
        tag: str,
        no_ack: bool = False,
        arguments: dict[str, Any] | None = None,
    ) -> None:
        """Have ``on_delivery`` called for each message of ``queue``, in order.

        It is called while the socket is read: it must not block, and what it raises is logged.
        """
        self._consumers[tag] = on_delivery
        # By its presence aiormq knows that a consumer which the broker cancels was one.
        self.channel.consumers[tag] = _not_here
        if no_ack or arguments:
            question: Question = spec.Basic.Consume(
                queue=queue, consumer_tag=tag, no_ack=no_ack, arguments=arguments or {}
            )
        else:
            question = _CONSUME.fill(queue, tag)
        try:
            await self.ask(question)
        except BaseException:
            self.forget(tag)
            raise

    def forget(self, tag: str) -> None:
        """Let a consumer go that was cancelled."""
        self._consumers.pop(tag, None)
        self.channel.consumers.pop(tag, None)

    def abandon(self, error: BaseException | None = None) -> None:
        """Close the channel without waiting: an answer on it is late, or nobody wants it.

        ``error`` is what whoever waits on it is told.
        """
        if not self.is_closed:
            self.end(error or ChannelInvalidStateError("abandoned"))
            # By aiormq, which may have closed it over a question of its own: a second close of a
            # channel would end the connection.
            self._wire.close(self.channel)

    def end(self, error: BaseException | None = None) -> None:
        """Fail what was asked. What still comes of it is taken all the same.

        aiormq keeps ten frames of a channel that nobody waits for, and then reads no further.
        """
        self.is_closed = True
        asked, self._asked = self._asked, deque()
        if self._late is not None:
            self._late.cancel()
            self._late = None
        for future, _ in asked:
            if not future.done():
                future.set_exception(error or ChannelInvalidStateError(f"{self.channel!r} closed"))
                future.exception()  # whoever asked may not wait for it

    def take(self, kind: int, payload: bytes) -> bool:
        """Take a frame of this channel; False when it is aiormq's."""
        if kind == METHOD:
            index = payload[:4]
            if index == _DELIVER:
                return self._begin(payload)
            if index in _ANSWERS and (self._asked or self.is_closed):
                future, _ = self._asked.popleft() if self._asked else (None, 0.0)
                if future is not None and not future.done():
                    future.set_result(_method(payload) if index == _DECLARED else None)
                return True
            if index == _CHANNEL_CLOSE:
                self.end(exception_by_code(cast(spec.Channel.Close, _method(payload))))
            return False
        if self._content is None:
            return False
        self._take_content(kind, payload)
        return True

    def _take_content(self, kind: int, payload: bytes) -> None:
        if kind == HEADER:
            self._header = header = ContentHeader()
            header.unmarshal(payload)
            self._missing = header.body_size
            if not self._missing:
                self._deliver(b"")
        else:
            self._missing -= len(payload)
            if self._missing > 0:
                self._parts.append(payload)
            elif self._parts:
                self._parts.append(payload)
                self._deliver(b"".join(self._parts))
            else:
                self._deliver(payload)

    def _begin(self, payload: bytes) -> bool:
        deliver = cast(spec.Basic.Deliver, _method(payload))
        on_delivery = self._consumers.get(deliver.consumer_tag or "")
        if on_delivery is None:
            return False
        self._content = _Content(deliver, on_delivery)
        return True

    def _deliver(self, body: bytes) -> None:
        content, header = self._content, self._header
        assert content is not None
        assert header is not None
        self._content, self._header = None, None
        self._parts.clear()
        try:
            content.on_delivery(DeliveredMessage(content.deliver, header, body, self.channel))
        except Exception:  # one message's fault must not end the connection
            log.exception("a delivery of %s failed", content.deliver.routing_key)


def _method(payload: bytes) -> Frame:
    found: Frame = spec.INDEX_MAPPING[int.from_bytes(payload[:4], "big")]()
    found.unmarshal(payload[4:])
    return found


async def _not_here(_: DeliveredMessage) -> None:
    raise AssertionError("a tapped consumer's delivery reached aiormq")


class Sorter(asyncio.StreamReader):
    """aiormq's reader, which is given no frame that a tap takes."""

    def __init__(self) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.taps: dict[int, Tap] = {}
        self._rest: bytes = b""
        self._wanted = 0  # bytes; with fewer, the frame under way is not whole
        self._strange = False  # what comes is no AMQP: aiormq has words for it
        self._alive_at = monotonic()

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        """Cut what the socket gave into frames, and hand each to whom it concerns."""
        if self._strange:
            super().feed_data(data)
            return
        self._sort(self._rest + bytes(data))

    def _sort(self, data: bytes) -> None:
        size = len(data)
        at = passed = 0
        taken = False
        if size >= self._wanted:
            self._wanted = 0
            while size - at >= _HEAD_BYTES:
                kind, number, length = HEAD.unpack_from(data, at)
                end = at + _HEAD_BYTES + length + 1
                if kind not in _FRAME_TYPES or (end <= size and data[end - 1] != _END):
                    self._strange, at = True, size
                    break
                if end > size:
                    self._wanted = end - at
                    break
                tap = self.taps.get(number)
                if tap is not None and self._took(tap, kind, data[at + _HEAD_BYTES : end - 1]):
                    taken = True
                    if passed < at:
                        super().feed_data(data[passed:at])
                    passed = end
                at = end
        if passed < at:
            super().feed_data(data[passed:at])
        self._rest = data[at:]
        if taken and monotonic() - self._alive_at > SIGN_OF_LIFE_S:
            self._alive_at = monotonic()
            super().feed_data(_HEARTBEAT)

    def _took(self, tap: Tap, kind: int, payload: bytes) -> bool:
        try:
            return tap.take(kind, payload)
        except Exception:  # what pamqp cannot read, aiormq cannot either: it ends the connection
            log.exception("a frame was not understood")
            return False

    def feed_eof(self) -> None:
        """Nothing more comes."""
        if self._rest:
            rest, self._rest = self._rest, b""
            super().feed_data(rest)
        super().feed_eof()


class _Writer(asyncio.StreamWriter):
    """aiormq's writer: what it says comes behind what was said by the short way before."""

    def __init__(self, wire: "Wire", *args: Any) -> None:
        super().__init__(*args)
        self._wire = wire

    def write(self, data: "bytes | bytearray | memoryview[int]") -> None:
        self._wire.flush()
        super().write(data)

    def write_eof(self) -> None:
        self._wire.flush()
        super().write_eof()

    def close(self) -> None:
        self._wire.flush()
        super().close()


class Wire(TransportFactory):
    """Makes the transport of one aiormq connection, and taps its channels."""

    def __init__(self) -> None:
        self._sorter: Sorter | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._transport: asyncio.Transport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due: list[bytes] = []

    async def create(
        self, url: URL, **kwargs: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, as aiormq's own factories do."""
        provider = kwargs.pop("ssl_context_provider")
        context: SSLContext | None = None
        if url.scheme == "amqps":
            context = await provider.get_context()
        loop = asyncio.get_running_loop()
        self._sorter = sorter = Sorter()
        protocol = asyncio.StreamReaderProtocol(sorter, loop=loop)
        try:
            transport, _ = await loop.create_connection(
                lambda: protocol, url.host or "", url.port or 0, ssl=context, **kwargs
            )
        except OSError as error:
            raise AMQPConnectionError(*error.args) from error
        self._transport, self._loop = transport, loop
        return sorter, _Writer(self, transport, protocol, sorter, loop)

    def tap(self, channel: Channel) -> Tap:
        """Tap an open channel."""
        assert self._sorter is not None
        taps, number = self._sorter.taps, channel.number
        taps[number] = tap = Tap(self, channel)

        def closed(_: object) -> None:
            tap.end()
            if taps.get(number) is tap:  # else the number is another channel's by now
                del taps[number]

        cast("asyncio.Future[Any]", channel.closing).add_done_callback(closed)
        return tap

    def close(self, channel: Channel) -> None:
        """Close a channel, without waiting."""

        async def close() -> None:
            with suppress(AMQPError, OSError, RuntimeError, TimeoutError):
                await channel.close()

        task = asyncio.create_task(close(), name="close channel")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def write(self, data: bytes) -> None:
        """Write whole frames; those of one turn of the loop are one write, in their order."""
        if self._loop is None:
            return
        if not self._due:
            self._loop.call_soon(self.flush)
        self._due.append(data)

    def flush(self) -> None:
        """Hand over what was written so far."""
        due, self._due = self._due, []
        if due and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(due))


# How much aiormq may have to write; 10 by default. When there is no room it drops its answers to
# channels that the broker closes, and opens those numbers again, for which the broker ends the
# connection. One read may refuse as many questions as there are channels. 0: no bound.
Connection.FRAME_BUFFER_SIZE = 0


class WiredConnection(aio_pika.Connection):
    """aio-pika's connection over a ``Wire``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wire = self.kwargs["transport_factory"] = Wire()
