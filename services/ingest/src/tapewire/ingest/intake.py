"""Taking an event: published with a confirm, and each identity once."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tapewire.broker import NotConfirmed, Publisher
from tapewire.contracts import Event, FieldError, Quality, encode, quality_of
from tapewire.ingest.judgement import Identity, Judged, Unfit, destinations
from tapewire.ingest.taken import Taken
from tapewire.ingest.turns import Turns


class Status(StrEnum):
    """What became of an event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    """Its id was taken before: nothing was published, and nothing need be done."""
    REJECTED = "rejected"
    UNCONFIRMED = "unconfirmed"
    """The broker has not confirmed it: it may or may not be taken. Send it again, same id."""


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a producer about one event."""

    status: Status
    id: str | None
    errors: tuple[FieldError, ...] = ()
    forbidden: bool = False

    def as_json(self) -> dict[str, object]:
        """Return the answer as it is sent."""
        return {
            "status": self.status,
            "id": self.id,
            "errors": [{"field": e.field, "message": e.message} for e in self.errors],
        }


class Intake:
    """Publishes events that are fit, and remembers which it has taken.

    An identity counts as taken only once the broker has confirmed its event. While it is on its
    way, a second event of the same identity waits, and is a duplicate if the first was confirmed
    or takes its place if it was not. A user's critical events keep their order (`turns`).

    Args:
        publisher: callers that start in order are published in order.
        window: confirms on their way. Who waits for a place in it does not use up the deadline of
            the publisher, so a large batch may take its time while the broker goes on.
        taken: the memory; it is lost with the process, and then who reads the events must know
            a repeated id themselves, as all of Tapewire's readers do.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        publisher: Publisher,
        taken: Taken[Identity],
        *,
        window: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publisher = publisher
        self._window = asyncio.Semaphore(window)
        self._taken = taken
        self._clock = clock
        self._on_their_way: dict[Identity, asyncio.Future[None]] = {}
        self._turns = Turns()

    async def take(self, judged: Judged) -> Result:
        """Take one event if it may be taken. Never raises for the broker's sake."""
        if isinstance(judged, Unfit):
            return _rejected(judged)
        event, identity = judged.event, judged.identity
        try:
            if identity is None:
                await self._publish(event)
            elif not await self._take_once(event, identity):
                return Result(Status.DUPLICATE, event.id)
        except NotConfirmed as error:
            return untaken(judged, str(error))
        return Result(Status.ACCEPTED, event.id)

    async def _take_once(self, event: Event, identity: Identity) -> bool:
        while (before := self._on_their_way.get(identity)) is not None:
            await asyncio.wait([before])
        if self._taken.holds(identity, now=self._clock()):
            return False
        done = self._on_their_way[identity] = asyncio.get_running_loop().create_future()
        try:
            await self._publish(event)
            self._taken.add(identity, now=self._clock())
        finally:
            del self._on_their_way[identity]
            done.set_result(None)
        return True

    async def _publish(self, event: Event) -> None:
        user: str | None = getattr(event, "user_id", None)
        if user is None or quality_of(event) is not Quality.CRITICAL:
            await self._publish_now(event)
            return
        async with self._turns.of(user):
            await self._publish_now(event)

    async def _publish_now(self, event: Event) -> None:
        body = encode(event)
        async with self._window:
            for exchange, routing_key in destinations(event):
                await self._publisher.publish(
                    exchange,
                    routing_key,
                    body,
                    type=event.type,
                    message_id=event.id,
                    timestamp=event.timestamp,
                )


def untaken(judged: Judged, reason: str) -> Result:
    """Return the result of an event that the broker has not confirmed."""
    if isinstance(judged, Unfit):
        return _rejected(judged)
    return Result(Status.UNCONFIRMED, judged.event.id, (FieldError("", reason),))


def _rejected(unfit: Unfit) -> Result:
    return Result(Status.REJECTED, unfit.id, unfit.errors, unfit.forbidden)
