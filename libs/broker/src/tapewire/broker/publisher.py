"""Publishing that says so when it is done, or that it is not."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final

from aiormq import Channel, spec
from aiormq.exceptions import PublishError
from opentelemetry import propagate

from tapewire.broker.errors import BrokerError, NotConfirmed, Unroutable
from tapewire.broker.figures import CONFIRM_DURATION, NOT_CONFIRMED
from tapewire.broker.link import CONNECTION_ERRORS, Link, close_channel
from tapewire.broker.pipe import Outgoing, Pipe
from tapewire.contracts import Event, encode, route

SESSION_HEADER = "session"  # what the consistent-hash exchange of the risk shards hashes
GIVEN_UP: Final = "given up: one before it was not confirmed"
BATCH: Final = 128  # of a large request: two of them under way hide a round trip


@dataclass(frozen=True, slots=True)
class Message:
    """A message and its properties; see ``Publisher.publish``."""

    exchange: str
    routing_key: str
    body: bytes
    type: str
    message_id: str
    timestamp: datetime | None = None
    headers: Mapping[str, Any] | None = None
    mandatory: bool = False
    persistent: bool = True
    reply_to: str | None = None
    correlation_id: str | None = None
    expiration_ms: int | None = None

    def outgoing(self, app_id: str) -> Outgoing:
        """Return it as ``app_id`` writes it: with the session's header and a trace context."""
        table: dict[str, Any] = dict(self.headers or {})
        if "traceparent" not in table:
            propagate.inject(table)
        owner = self.routing_key.split(".", 2)
        if len(owner) == 3:
            table.setdefault(SESSION_HEADER, f"{owner[0]}.{owner[1]}")
        expiration = None if self.expiration_ms is None else str(self.expiration_ms)
        properties = spec.Basic.Properties(
            content_type="application/json",
            delivery_mode=2 if self.persistent else 1,
            message_type=self.type,
            message_id=self.message_id,
            timestamp=self.timestamp or datetime.now(UTC),
            headers=table,
            reply_to=self.reply_to,
            correlation_id=self.correlation_id,
            expiration=expiration,
            app_id=app_id,
        )
        return Outgoing(self.exchange, self.routing_key, self.body, properties, self.mandatory)


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
        self.deadline_s = deadline_s
        self._channel: Channel | None = None
        self._pipe = Pipe(self._open, window)
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
        message = Message(
            exchange,
            routing_key,
            body,
            type,
            message_id,
            timestamp=timestamp,
            headers=headers,
            mandatory=mandatory,
            persistent=persistent,
            reply_to=reply_to,
            correlation_id=correlation_id,
            expiration_ms=expiration_ms,
        )
        began = monotonic()
        try:
            async with asyncio.timeout(self.deadline_s if deadline_s is None else deadline_s):
                await self._write(message.outgoing(self._link.owner), message_id)
        except PublishError as error:
            NOT_CONFIRMED.add(1, {"exchange": exchange, "reason": "unroutable"})
            raise Unroutable(f"{exchange} {routing_key}: no queue is bound") from error
        except TimeoutError as error:
            raise self._late(exchange, routing_key) from error
        except (*CONNECTION_ERRORS, BrokerError) as error:
            raise _failed(exchange, routing_key, error) from error
        CONFIRM_DURATION.record(monotonic() - began, {"exchange": exchange})

    async def publish_all(
        self, messages: Sequence[Message], *, deadline_s: float | None = None
    ) -> list[NotConfirmed | None]:
        """Publish messages in their order; return, for each, why it is not confirmed, or None.

        Cheaper than as many calls of ``publish``. The deadline is one of progress: it counts anew
        for each ``BATCH`` of them. From the first that is not confirmed in time on, what was not
        written yet is given up.

        Raises nothing for the broker's sake.
        """
        outcomes: list[NotConfirmed | None] = []
        flying: list[asyncio.Future[Any]] = []
        for at in range(0, len(messages), BATCH):
            # The next batch is written while the one before is being confirmed.
            written = [
                self._pipe.put(one.outgoing(self._link.owner)) for one in messages[at : at + BATCH]
            ]
            if flying:
                part = messages[at - BATCH : at]
                outcomes += await self._confirmed(part, flying, deadline_s)
                if any(outcomes):
                    for future in written:
                        future.cancel()
            flying = written
            if any(outcomes):
                break
        outcomes += await self._confirmed(messages[len(outcomes) :], flying, deadline_s)
        return outcomes + [NotConfirmed(GIVEN_UP)] * (len(messages) - len(outcomes))

    async def _confirmed(
        self,
        messages: Sequence[Message],
        futures: Sequence[asyncio.Future[Any]],
        deadline_s: float | None,
    ) -> list[NotConfirmed | None]:
        if not futures:
            return []
        began = monotonic()
        _, late = await asyncio.wait(
            futures, timeout=self.deadline_s if deadline_s is None else deadline_s
        )
        for future in late:
            future.cancel()
        outcomes: list[NotConfirmed | None] = []
        for message, future in zip(messages, futures, strict=False):
            if future in late:
                outcomes.append(self._late(message.exchange, message.routing_key))
            elif future.cancelled():
                outcomes.append(NotConfirmed(GIVEN_UP))
            elif (error := future.exception()) is not None:
                outcomes.append(_failed(message.exchange, message.routing_key, error))
            else:
                outcomes.append(None)
        exchanges = {message.exchange for message in messages}
        for exchange in exchanges:
            CONFIRM_DURATION.record(monotonic() - began, {"exchange": exchange})
        return outcomes

    async def close(self) -> None:
        """Close the AMQP channel; the link stays."""
        await self._pipe.close()
        channel, self._channel = self._channel, None
        await close_channel(channel)

    async def _write(self, message: Outgoing, message_id: str) -> None:
        # aiormq knows a returned message by its id, and only mandatory ones are returned: while one
        # of them is on its way, nothing else has its id. All others keep their place.
        while (earlier := self._in_flight.get(message_id)) is not None:
            await earlier.wait()
        if not message.mandatory:
            await self._pipe.put(message)
            return
        done = self._in_flight[message_id] = asyncio.Event()
        try:
            await self._pipe.put(message)
        finally:
            del self._in_flight[message_id]
            done.set()

    async def _open(self) -> Channel:
        # Only the pipe's one task comes here, and no message's deadline ends it: with a broker
        # slower than a deadline, opening would otherwise begin anew with every message.
        if self._channel is None or self._channel.is_closed:
            self._channel = await self._link.channel(confirms=True)
        return self._channel

    def _late(self, exchange: str, routing_key: str) -> NotConfirmed:
        NOT_CONFIRMED.add(1, {"exchange": exchange, "reason": "deadline"})
        why = self._link.health() or "no confirm by the deadline (is the broker blocking?)"
        return NotConfirmed(f"{exchange} {routing_key}: {why}")


def _failed(exchange: str, routing_key: str, error: BaseException) -> NotConfirmed:
    NOT_CONFIRMED.add(1, {"exchange": exchange, "reason": "failed"})
    return NotConfirmed(f"{exchange} {routing_key}: {error or type_name(error)}")


def type_name(error: BaseException) -> str:
    """Return the name of an error that has no words of its own."""
    return type(error).__name__
