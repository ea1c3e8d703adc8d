# aiormq leaves its futures without their types:
# pyright: reportUnknownMemberType=false
"""One AMQP channel, and what is said and heard on it by the short way (ADR 15)."""

import asyncio
import logging
import struct
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, cast

from aiormq import Channel, Connection, spec
from aiormq.abc import DeliveredMessage
from aiormq.channel import exception_by_code
from aiormq.exceptions import ChannelInvalidStateError
from pamqp import frame as amqp
from pamqp.base import Frame
from pamqp.header import ContentHeader

from tapewire.broker.framing import HEADER, METHOD, Question, Stencil, method
from tapewire.broker.pipe import Outgoing, framed

log = logging.getLogger(__name__)

OnDelivery: TypeAlias = Callable[[DeliveredMessage], object]

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


class Writer(Protocol):
    """What a tap writes to."""

    def write(self, data: bytes) -> None:
        """Write whole frames, in the order of the calls."""

    def close(self, channel: Channel) -> None:
        """Close a channel, without waiting."""


class _Consumer(NamedTuple):
    """Who takes deliveries, and which are let go: those whose properties contain ``deaf_to``."""

    on_delivery: OnDelivery
    deaf_to: bytes


class _Content(NamedTuple):
    """A delivery of which not all has come; without its parts when it is let go."""

    consumer: _Consumer
    method: bytes
    deliver: spec.Basic.Deliver | None = None
    header: ContentHeader | None = None


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

    def __init__(self, wire: Writer, channel: Channel) -> None:
        self.channel = channel
        self.is_closed = channel.is_closed
        self.deadline_s: float | None = None
        self._wire = wire
        self._number = channel.number
        self._asked: deque[tuple[asyncio.Future[Any], float]] = deque()  # and since when
        self._late: asyncio.TimerHandle | None = None
        self._consumers: dict[bytes, _Consumer] = {}  # by their tags
        self._content: _Content | None = None
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
        deaf_to: bytes = b"",
    ) -> None:
        """Have ``on_delivery`` called for each message of ``queue``, in order.

        It is called while the socket is read: it must not block, and what it raises is logged.
        Messages whose properties contain ``deaf_to`` are let go; without acks only.
        """
        self._consumers[tag.encode()] = _Consumer(on_delivery, deaf_to)
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
        self._consumers.pop(tag.encode(), None)
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
            self._missing = int.from_bytes(payload[4:12], "big")
            self._take_header(payload)
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
        consumer = self._consumers.get(payload[5 : 5 + payload[4]])
        if consumer is None:
            return False
        self._content = _Content(consumer, payload)
        return True

    def _take_header(self, payload: bytes) -> None:
        """Decode what a delivery is, unless nobody wants to know."""
        assert self._content is not None
        consumer, method, *_ = self._content
        if consumer.deaf_to and consumer.deaf_to in payload:
            return
        header = ContentHeader()
        header.unmarshal(payload)
        deliver = cast(spec.Basic.Deliver, _method(method))
        self._content = _Content(consumer, method, deliver, header)

    def _deliver(self, body: bytes) -> None:
        assert self._content is not None
        consumer, _, deliver, header = self._content
        self._content = None
        self._parts.clear()
        if deliver is None or header is None:
            return
        try:
            consumer.on_delivery(DeliveredMessage(deliver, header, body, self.channel))
        except Exception:  # one message's fault must not end the connection
            log.exception("a delivery of %s failed", deliver.routing_key)


def _method(payload: bytes) -> Frame:
    found: Frame = spec.INDEX_MAPPING[int.from_bytes(payload[:4], "big")]()
    found.unmarshal(payload[4:])
    return found


async def _not_here(_: DeliveredMessage) -> None:
    raise AssertionError("a tapped consumer's delivery reached aiormq")
