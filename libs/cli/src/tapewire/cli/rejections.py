"""Events that were refused at the front door, as they wait in the queue `rejected`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiormq import spec
from aiormq.abc import AbstractChannel, AbstractConnection, DeliveredMessage
from aiormq.exceptions import ChannelNotFoundEntity

from tapewire.broker.topology import INGEST, REJECTED_QUEUE
from tapewire.cli.console import Failure
from tapewire.cli.inboxes import parsed
from tapewire.cli.inspection import returned

ARRIVES_WITHIN_S: Final = 3.0
CONFIRM_WITHIN_S: Final = 5.0
ANSWERS_WITHIN_S: Final = 5.0  # ingest may be away: what is confirmed waits for it
DIRECT_REPLY_TO: Final = "amq.rabbitmq.reply-to"


@dataclass(frozen=True)
class Rejection:
    """A refused event.

    Attributes:
        id: of the rejection, not of the event, which may have none.
        producer: the program that published it, by its own word.
        errors: what is wrong with which field.
        cut: the event was larger than one may be, and only its beginning was kept.
    """

    id: str
    reason: str
    errors: tuple[Mapping[str, str], ...]
    producer: str
    routing_key: str
    received_at: datetime | None
    body: bytes
    cut: bool
    tag: int

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "id": self.id,
            "reason": self.reason,
            "errors": list(self.errors),
            "producer": self.producer or None,
            "routingKey": self.routing_key,
            "receivedAt": self.received_at and self.received_at.isoformat(),
            "event": parsed(self.body),
        }


@dataclass(frozen=True)
class Replayed:
    """What became of an event that was published again.

    Attributes:
        status: `accepted`, `duplicate` or `rejected` as ingest says; `confirmed` where it has not
            said so far: the event waits for it.
    """

    rejection: Rejection
    status: str
    errors: tuple[Mapping[str, str], ...] = ()


@asynccontextmanager
async def taken(connection: AbstractConnection, limit: int | None) -> AsyncGenerator[Taken]:
    """The oldest rejections, held for as long as this lasts; what is not acked goes back then.

    Raises:
        Failure: there is no such queue.
    """
    channel = await connection.channel()
    try:
        told = await channel.queue_declare(REJECTED_QUEUE.name, passive=True)
    except ChannelNotFoundEntity:
        raise Failure(
            f"the broker has no queue {REJECTED_QUEUE.name!r}",
            remedy="Services declare it when they start; `tapewire doctor` tells what is missing.",
        ) from None
    waiting = told.message_count or 0
    wanted = waiting if limit is None else min(limit, waiting)
    came: asyncio.Queue[DeliveredMessage] = asyncio.Queue()

    async def arrive(message: DeliveredMessage) -> None:
        came.put_nowait(message)

    rejections: list[Rejection] = []
    try:
        if wanted:
            await channel.basic_qos(prefetch_count=wanted)
            await channel.basic_consume(REJECTED_QUEUE.name, arrive)
        with suppress(TimeoutError):  # somebody else may be replaying
            while len(rejections) < wanted:
                async with asyncio.timeout(ARRIVES_WITHIN_S):
                    rejections.append(read(await came.get()))
        hand = Taken(connection, channel, rejections, waiting)
        try:
            yield hand
        finally:
            waiting -= hand.settled
    finally:
        await channel.close()
        await returned(connection, {REJECTED_QUEUE.name: waiting})


class Taken:
    """Rejections in hand.

    Attributes:
        rejections: oldest first.
        waiting: how many there were in all.
        settled: how many of these are gone from the queue.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        channel: AbstractChannel,
        rejections: list[Rejection],
        waiting: int,
    ) -> None:
        self.rejections = rejections
        self.waiting = waiting
        self.settled = 0
        self._connection = connection
        self._channel = channel

    async def replay(self, chosen: Collection[str]) -> list[Replayed]:
        """Publish the chosen ones to the front door again, each acked once that is confirmed.

        Killed in between, an event is here still and at the door as well, under the same id.
        """
        door = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        answers: dict[str, asyncio.Future[dict[str, Any]]] = {}

        async def hear(message: DeliveredMessage) -> None:
            answer = answers.get(message.header.properties.correlation_id or "")
            if answer is not None and not answer.done():
                with suppress(ValueError):
                    answer.set_result(json.loads(message.body))

        await door.basic_consume(DIRECT_REPLY_TO, hear, no_ack=True)
        sent: list[Rejection] = []
        for rejection in self.rejections:
            if rejection.id not in chosen or rejection.cut:
                continue
            answers[rejection.id] = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(CONFIRM_WITHIN_S):
                await door.basic_publish(
                    rejection.body,
                    exchange=INGEST,
                    routing_key=rejection.routing_key,
                    mandatory=True,
                    properties=spec.Basic.Properties(
                        content_type="application/json",
                        delivery_mode=2,
                        message_id=rejection.id,
                        correlation_id=rejection.id,
                        reply_to=DIRECT_REPLY_TO,
                        app_id=rejection.producer or None,
                    ),
                )
            await self._channel.basic_ack(rejection.tag, wait=False)
            self.settled += 1
            sent.append(rejection)
        if answers:
            await asyncio.wait(answers.values(), timeout=ANSWERS_WITHIN_S)
        await door.close()
        return [_replayed(rejection, answers[rejection.id]) for rejection in sent]


def read(message: DeliveredMessage) -> Rejection:
    """The rejection that a message of the queue is."""
    properties = message.header.properties
    headers: Mapping[str, Any] = properties.headers or {}
    errors: tuple[Mapping[str, str], ...] = ()
    with suppress(ValueError, TypeError):
        errors = tuple(json.loads(str(headers.get("x-errors") or "[]")))
    received = None
    with suppress(ValueError):
        received = datetime.fromisoformat(str(headers.get("x-received-at")))
    return Rejection(
        id=properties.message_id or str(message.delivery_tag),
        reason=str(headers.get("x-reason") or "unknown"),
        errors=errors,
        producer=str(headers.get("x-producer") or ""),
        routing_key=message.routing_key or "",
        received_at=received or properties.timestamp,
        body=message.body,
        cut="x-size" in headers,
        tag=message.delivery_tag or 0,
    )


def _replayed(rejection: Rejection, answer: asyncio.Future[dict[str, Any]]) -> Replayed:
    if not answer.done():
        answer.cancel()
        return Replayed(rejection, "confirmed")
    told = answer.result()
    return Replayed(rejection, str(told.get("status")), tuple(told.get("errors") or ()))
