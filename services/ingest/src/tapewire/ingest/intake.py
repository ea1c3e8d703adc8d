"""Taking an event: published with a confirm, and each identity once."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

from tapewire.broker import Message, NotConfirmed, Publisher
from tapewire.contracts import Event, FieldError, Quality, encode, quality_of
from tapewire.ingest.judgement import Fit, Identity, Judged, Unfit, destinations
from tapewire.ingest.taken import Taken
from tapewire.ingest.turns import Turns

GIVEN_UP: Final = "given up: one before it was not confirmed"


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

    async def take_all(self, judged: Sequence[Judged]) -> list[Result]:
        """Take events in their order, with many confirms on their way.

        From the first that is not confirmed on, the rest is given up and is unconfirmed too. So
        when the connection breaks, those that the broker has come before those that it has not,
        and who sends the latter again keeps the order.
        """
        results: list[Result] = []
        failed = False
        for in_turn, run in groupby(judged, _in_turn):
            part = list(run)
            if failed:
                results += [untaken(one, GIVEN_UP) for one in part]
                continue
            results += await (self._take_in_turn(part) if in_turn else self._take_together(part))
            failed = any(result.status is Status.UNCONFIRMED for result in results[-len(part) :])
        return results

    async def _take_in_turn(self, judged: Sequence[Judged]) -> list[Result]:
        """Take events that wait for one another, each user's one by one (`turns`)."""
        tasks = [asyncio.create_task(self.take(one)) for one in judged]
        try:
            for task in tasks:
                if (await task).status is Status.UNCONFIRMED:
                    break
        finally:
            for task in tasks:
                task.cancel()
        await asyncio.wait(tasks)
        return [
            untaken(one, GIVEN_UP) if task.cancelled() else task.result()
            for one, task in zip(judged, tasks, strict=True)
        ]

    async def _take_together(self, judged: Sequence[Judged]) -> list[Result]:
        """Take events that need not wait for one another: written and confirmed together."""
        results: list[Result | None] = [None] * len(judged)
        mine: dict[int, Fit] = {}
        reserved: dict[Identity, asyncio.Future[None]] = {}
        now = self._clock()
        for index, one in enumerate(judged):
            if isinstance(one, Unfit):
                results[index] = _rejected(one)
            elif one.identity is None:
                mine[index] = one
            elif self._taken.holds(one.identity, now=now):
                results[index] = Result(Status.DUPLICATE, one.event.id)
            elif one.identity not in self._on_their_way:  # else it waits for what the first becomes
                done = asyncio.get_running_loop().create_future()
                reserved[one.identity] = self._on_their_way[one.identity] = done
                mine[index] = one
        try:
            for index, error in (await self._publish_all(mine)).items():
                one = mine[index]
                results[index] = self._outcome(one, error)
        finally:
            for identity, done in reserved.items():
                del self._on_their_way[identity]
                done.set_result(None)
        given_up = any(r is not None and r.status is Status.UNCONFIRMED for r in results)
        for index, one in enumerate(judged):
            if results[index] is None:
                results[index] = untaken(one, GIVEN_UP) if given_up else await self.take(one)
        return [result for result in results if result is not None]

    async def _publish_all(self, events: Mapping[int, Fit]) -> dict[int, NotConfirmed | None]:
        """Return, for each event, the first reason why it is not confirmed, or None."""
        owners: list[int] = []
        messages: list[Message] = []
        for index, one in events.items():
            body = encode(one.event)
            for exchange, routing_key in destinations(one.event):
                owners.append(index)
                messages.append(
                    Message(
                        *(exchange, routing_key, body, one.event.type, one.event.id),
                        timestamp=one.event.timestamp,
                    )
                )
        found: dict[int, NotConfirmed | None] = {}
        outcomes = await self._publisher.publish_all(messages)
        for owner, error in zip(owners, outcomes, strict=True):
            found[owner] = found.get(owner) or error
        return found

    def _outcome(self, one: Fit, error: NotConfirmed | None) -> Result:
        if error is not None:
            return untaken(one, str(error))
        if one.identity is not None:
            self._taken.add(one.identity, now=self._clock())
        return Result(Status.ACCEPTED, one.event.id)

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
        user = _turn_of(event)
        if user is None:
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


def _turn_of(event: Event) -> str | None:
    """Return whose turn an event waits for, or None."""
    user: str | None = getattr(event, "user_id", None)
    return user if quality_of(event) is Quality.CRITICAL else None


def _in_turn(judged: Judged) -> bool:
    return isinstance(judged, Fit) and _turn_of(judged.event) is not None


def untaken(judged: Judged, reason: str) -> Result:
    """Return the result of an event that the broker has not confirmed."""
    if isinstance(judged, Unfit):
        return _rejected(judged)
    return Result(Status.UNCONFIRMED, judged.event.id, (FieldError("", reason),))


def _rejected(unfit: Unfit) -> Result:
    return Result(Status.REJECTED, unfit.id, unfit.errors, unfit.forbidden)
