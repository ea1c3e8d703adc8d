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
from collections.abc import Iterable
from contextlib import suppress
from ssl import SSLContext
from time import monotonic
from typing import Any, Final, SupportsIndex, cast

import aio_pika
from aiormq import Channel, Connection
from aiormq.connection import TransportFactory
from aiormq.exceptions import AMQPConnectionError, AMQPError
from pamqp.heartbeat import Heartbeat
from yarl import URL

from tapewire.broker.framing import BODY, HEAD, HEADER, HEARTBEAT, LAST, METHOD
from tapewire.broker.tap import Tap

log = logging.getLogger(__name__)

_HEAD_BYTES: Final = HEAD.size
_FRAME_TYPES: Final = frozenset({METHOD, HEADER, BODY, HEARTBEAT})
_END: Final = LAST[0]
_HEARTBEAT: Final = Heartbeat().marshal()
SIGN_OF_LIFE_S: Final = 1.0  # aiormq gives a connection up on which it reads nothing


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
