"""Publishing that says so when it is done, or that it is not."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from aiormq import Channel, spec
from aiormq.exceptions import PublishError
from opentelemetry import propagate

from tapewire.broker.errors import BrokerError, NotConfirmed, Unroutable
from tapewire.broker.figures import CONFIRM_DURATION, NOT_CONFIRMED
from tapewire.broker.link import CONNECTION_ERRORS, Link, close_channel
from tapewire.contracts import Event, encode, route

SESSION_HEADER = "session"  # what the consistent-hash exchange of the risk shards hashes


class Publisher:
    """Publishes with confirms, up to ``window`` in flight, each within a deadline.

    ``publish`` returns when the broker has the message (persistent in a quorum queue: on the disks
    of a majority) and raises otherwise, also while the broker is away or blocks us: it never hangs
    and never lies. Messages published in order by one task, or started in order by several, are
    written in that order.

    Args:
        link: a connection of role ``publish``.
        window: confirms in flight; 256 hides a round trip of milliseconds at 10,000 a second.
        deadline_s: for one message: the window, a reconnection and the confirm together.
    """

    def __init__(self, link: Link, *, window: int = 256, deadline_s: float = 5.0) -> None:
        self._link = link
        self._window = asyncio.Semaphore(window)
        self.deadline_s = deadline_s
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()
        self._attempt: asyncio.Task[Channel] | None = None
        self._in_flight: dict[str, asyncio.Event] = {}

    def health(self) -> str | None:
        """Return None when it can publish, else the reason."""
        return self._link.health()

    async def publish_event(
        self, event: Event, *, headers: Mapping[str, Any] | None = None
    ) -> None:
        """Publish ``event`` where its route says, as its clients will see it."""
        exchange, routing_key = route(event)
        await self.publish(
            exchange,
            routing_key,
            encode(event),
            type=event.type,
            message_id=event.id,
            timestamp=event.timestamp,
            headers=headers,
        )

    async def publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        *,
        type: str,
        message_id: str,
        timestamp: datetime | None = None,
        headers: Mapping[str, Any] | None = None,
        mandatory: bool = False,
        persistent: bool = True,
        reply_to: str | None = None,
        correlation_id: str | None = None,
        expiration_ms: int | None = None,
        deadline_s: float | None = None,
    ) -> None:
        """Publish one message and return once the broker has confirmed it.

        On ``tw.events`` and ``tw.alerts`` a header ``session`` carries the first two words of the
        key, and a trace context is added unless ``headers`` has one.

        Raises:
            Unroutable: ``mandatory``, and no queue is bound.
            NotConfirmed: not confirmed by the deadline, refused, or the connection was lost.
        """
        table: dict[str, Any] = dict(headers or {})
        if "traceparent" not in table:
            propagate.inject(table)
        owner = routing_key.split(".", 2)
        if len(owner) == 3:
            table.setdefault(SESSION_HEADER, f"{owner[0]}.{owner[1]}")
        properties = spec.Basic.Properties(
            content_type="application/json",
            delivery_mode=2 if persistent else 1,
            message_type=type,
            message_id=message_id,
            timestamp=timestamp or datetime.now(UTC),
            headers=table,
            reply_to=reply_to,
            correlation_id=correlation_id,
            expiration=None if expiration_ms is None else str(expiration_ms),
            app_id=self._link.owner,
        )
        began = monotonic()
        try:
            async with asyncio.timeout(self.deadline_s if deadline_s is None else deadline_s):
                await self._write(exchange, routing_key, body, properties, mandatory, message_id)
        except PublishError as error:
            NOT_CONFIRMED.add(1, {"exchange": exchange, "reason": "unroutable"})
            raise Unroutable(f"{exchange} {routing_key}: no queue is bound") from error
        except TimeoutError as error:
            NOT_CONFIRMED.add(1, {"exchange": exchange, "reason": "deadline"})
            why = self._link.health() or "no confirm by the deadline (is the broker blocking?)"
            raise NotConfirmed(f"{exchange} {routing_key}: {why}") from error
        except (*CONNECTION_ERRORS, BrokerError) as error:
            NOT_CONFIRMED.add(1, {"exchange": exchange, "reason": "failed"})
            raise NotConfirmed(f"{exchange} {routing_key}: {error or type_name(error)}") from error
        CONFIRM_DURATION.record(monotonic() - began, {"exchange": exchange})

    async def close(self) -> None:
        """Close the AMQP channel; the link stays."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
        channel, self._channel = self._channel, None
        await close_channel(channel)

    async def _write(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        properties: spec.Basic.Properties,
        mandatory: bool,
        message_id: str,
    ) -> None:
        # aiormq knows a returned message by its id, and only mandatory ones are returned: while one
        # of them is on its way, nothing else has its id. All others keep their place.
        while (earlier := self._in_flight.get(message_id)) is not None:
            await earlier.wait()
        done = asyncio.Event()
        if mandatory:
            self._in_flight[message_id] = done
        try:
            async with self._window:
                channel = await self._open()
                await channel.basic_publish(
                    body,
                    exchange=exchange,
                    routing_key=routing_key,
                    properties=properties,
                    mandatory=mandatory,
                    wait=False,
                )
        finally:
            if mandatory:
                del self._in_flight[message_id]
                done.set()

    async def _open(self) -> Channel:
        # Always through the lock, which is fair: who comes when the channel is just open must not
        # overtake those who waited for it.
        async with self._opening:
            while self._channel is None or self._channel.is_closed:
                # An attempt outlives the message that asked for it: with a broker slower than one
                # deadline, opening would otherwise begin anew with every message, and never end.
                if self._attempt is None:
                    self._attempt = asyncio.create_task(self._link.channel(confirms=True))
                    self._attempt.add_done_callback(_look_at)
                attempt = self._attempt
                try:
                    self._channel = await asyncio.shield(attempt)
                finally:
                    if attempt.done():
                        self._attempt = None
            return self._channel


def _look_at(attempt: asyncio.Task[Channel]) -> None:
    """Take note of how it ended: those who waited for it may have left at their deadlines."""
    if not attempt.cancelled():
        attempt.exception()


def type_name(error: BaseException) -> str:
    """Return the name of an error that has no words of its own."""
    return type(error).__name__
