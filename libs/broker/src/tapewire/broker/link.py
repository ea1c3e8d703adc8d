"""One AMQP connection that comes back by itself."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from enum import StrEnum
from typing import Any, TypeAlias, cast

import aio_pika
import aiormq
from aio_pika.abc import AbstractConnection
from aiormq import Channel
from aiormq.exceptions import AMQPError
from yarl import URL

from tapewire.broker.backoff import full_jitter
from tapewire.broker.cancelling import cancelled
from tapewire.broker.errors import NotConnected
from tapewire.broker.tap import Tap
from tapewire.broker.wire import WiredConnection

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0  # a broker that accepts but does not answer is as good as away
RETRY_BASE_S = 0.2
RETRY_CAP_S = 5.0

OnUp: TypeAlias = Callable[[], Awaitable[None]]

CONNECTION_ERRORS = (
    AMQPError,
    aiormq.exceptions.ChannelInvalidStateError,
    OSError,
    TimeoutError,
    RuntimeError,
)
"""What aiormq raises when a connection or an AMQP channel has gone."""


CLOSE_TIMEOUT_S = 2.0  # a goodbye is a courtesy: a broker that has gone does not answer it


async def close_channel(channel: Channel | None) -> None:
    """Close an AMQP channel, whatever has become of its connection."""
    if channel is not None and not channel.is_closed:
        with suppress(*CONNECTION_ERRORS):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await channel.close()


def when_closed(channel: Channel, callback: Callable[[], None]) -> None:
    """Have ``callback`` called once an AMQP channel is closed or its consumer cancelled."""

    def call(_: object) -> None:
        callback()

    # aiormq says only `Future`
    channel.closing.add_done_callback(call)  # pyright: ignore[reportUnknownMemberType]
    channel.on_consumer_cancel_callbacks.add(call)


async def unless_closed(channel: Channel, saying: Coroutine[Any, Any, object]) -> None:
    """Await what is said on a channel; once the channel has closed, it is left unsaid.

    aiormq (7.2) queues ten frames for a connection, and nobody takes them when it is lost: whoever
    waits for a place in that queue then waits for ever.
    """
    if not channel.write_queue.full():  # pyright: ignore[reportUnknownMemberType]
        await saying
        return
    task = asyncio.ensure_future(saying)
    closing = cast("asyncio.Future[Any]", channel.closing)  # pyright: ignore[reportUnknownMemberType]
    try:
        await asyncio.wait([task, closing], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
    finally:
        task.cancel()


def _setter(event: asyncio.Event) -> Callable[..., None]:
    def call(*_: object) -> None:
        event.set()

    return call


class Role(StrEnum):
    """What a connection is for. A blocked publisher's connection is not read: keep them apart."""

    PUBLISH = "publish"
    CONSUME = "consume"
    TOPOLOGY = "topology"


class Link:
    """One connection in one role. It is tried again for ever, with full jitter, 0.2 s to 5 s.

    Nothing is restored on it: who uses a link opens AMQP channels anew, on ``on_up`` or when theirs
    closed.

    Args:
        url: ``amqp://user:password@host:port/vhost``; several, comma-separated, are tried in turn.
        role: what the connection is for; stands in its name on the broker.
        name: whose connection it is, such as ``edge-1``.
        heartbeat_s: a silent broker is given up after about three of them.
    """

    def __init__(self, url: str, role: Role, *, name: str, heartbeat_s: int = 10) -> None:
        self._urls = [URL(u.strip()).update_query(heartbeat=heartbeat_s) for u in url.split(",")]
        self.role = role
        self.owner = name
        self.name = f"{name} {role}"
        self._connection: AbstractConnection | None = None
        self._up = asyncio.Event()
        self._reason = "not started"
        self._on_up: list[OnUp] = []
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.reconnects = 0

    async def start(self) -> None:
        """Begin to connect; return at once, also while the broker is away."""
        if self._task is None:
            self._reason = "connecting"
            self._task = asyncio.create_task(self._keep(), name=f"link {self.name}")

    async def close(self) -> None:
        """Close the connection and stay closed."""
        task, self._task = self._task, None
        await cancelled(task)
        for pending in list(self._tasks):
            pending.cancel()
        connection, self._connection = self._connection, None
        self._up.clear()
        self._reason = "closed"
        if connection is not None:
            with suppress(*CONNECTION_ERRORS):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await connection.close()

    async def drain(self) -> None:
        """Nothing to finish: who uses the link drains first."""

    async def stop(self) -> None:
        """Close: a link is a component of a service."""
        await self.close()

    def on_up(self, callback: OnUp) -> None:
        """Have ``callback`` run, as a task, each time that the connection has come (back)."""
        self._on_up.append(callback)

    @property
    def is_up(self) -> bool:
        """Whether there is a connection now."""
        return self._up.is_set()

    def health(self) -> str | None:
        """Return None when connected, else the reason."""
        return None if self.is_up else self._reason

    async def connected(self, timeout_s: float | None = None) -> AbstractConnection:
        """Return the connection, waiting for it.

        Raises:
            NotConnected: none came within ``timeout_s``.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while self._connection is None:
                    await self._up.wait()
        except TimeoutError:
            raise NotConnected(f"{self.name}: {self._reason}") from None
        return self._connection

    async def channel(self, *, confirms: bool = False, timeout_s: float | None = None) -> Channel:
        """Open an AMQP channel; with ``confirms``, a returned mandatory message raises.

        The caller keeps a reference for as long as it uses the channel.
        """
        connection = await self.connected(timeout_s)
        transport = connection.transport
        if transport is None:
            raise NotConnected(f"{self.name}: closing")
        try:
            channel = await transport.connection.channel(
                publisher_confirms=confirms, on_return_raises=confirms
            )
        except CONNECTION_ERRORS:
            raise
        except Exception as error:  # aiormq raises a bare one when the connection goes meanwhile
            reason = str(error) or type(error).__name__
            raise NotConnected(f"{self.name}: no channel: {reason}") from error
        return cast(Channel, channel)

    async def tap(self, *, timeout_s: float | None = None) -> Tap:
        """Open an AMQP channel for the short way; as for ``channel``, without confirms."""
        connection = await self.connected(timeout_s)
        channel = await self.channel(timeout_s=timeout_s)
        if connection is not self._connection or channel.is_closed:
            raise NotConnected(f"{self.name}: lost")
        return cast(WiredConnection, connection).wire.tap(channel)

    async def _keep(self) -> None:
        waits = full_jitter(RETRY_BASE_S, RETRY_CAP_S)
        attempt = 0
        while True:
            url = self._urls[attempt % len(self._urls)]
            attempt += 1
            try:
                connection = await aio_pika.connect(
                    url,
                    timeout=CONNECT_TIMEOUT_S,
                    client_properties={"connection_name": self.name},
                    connection_class=WiredConnection,
                )
            except Exception as error:  # whatever it is: who is not tried again never comes back
                # aiormq lets a StopAsyncIteration out when the handshake breaks at a bad moment.
                self._reason = f"broker away: {str(error) or type(error).__name__}"
                wait = next(waits)
                log.warning("%s: %s; next try in %.1f s", self.name, self._reason, wait)
                await asyncio.sleep(wait)
                continue
            waits = full_jitter(RETRY_BASE_S, RETRY_CAP_S)
            lost = asyncio.Event()
            connection.close_callbacks.add(_setter(lost), weak=False)
            self._connection = connection
            self._up.set()
            log.info("%s: connected", self.name)
            for callback in self._on_up:
                self._spawn(callback)
            try:
                await lost.wait()
            finally:
                self._up.clear()
                self._connection = None if lost.is_set() else connection
            self._reason = "connection lost"
            self.reconnects += 1
            log.warning("%s: connection lost", self.name)
            with suppress(Exception):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await connection.close()
            await asyncio.sleep(next(waits))

    def _spawn(self, callback: OnUp) -> None:
        async def run() -> None:
            try:
                await callback()
            except CONNECTION_ERRORS as error:
                log.warning("%s: on_up failed: %s", self.name, error)
            except Exception:
                log.exception("%s: on_up failed", self.name)

        task = asyncio.create_task(run(), name=f"{self.name} on_up")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
