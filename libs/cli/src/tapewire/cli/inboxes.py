"""Inboxes as they stand on the broker, looked at without taking anything from them.

Three ways, for three things (docs/adr/0010):

- the names: the broker's management API, since AMQP lists nothing;
- what an edge has on a screen, unacknowledged: the edge that holds it says (`<user>.asked`);
- what waits for somebody to come: this connection consumes it, unacknowledged, and closes its AMQP
  channel, upon which the broker puts everything back in its place. It counts as one of the
  1,000,000 redeliveries that an alert can have, and whoever comes at that very moment waits until
  it is over.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import aiormq
from aiormq import spec
from aiormq.abc import AbstractChannel, AbstractConnection, DeliveredMessage
from aiormq.exceptions import AMQPError, ChannelNotFoundEntity
from pamqp.exceptions import PAMQPException

from tapewire.broker.topology import INBOX_WINDOW, RELAY, inbox, own_inbox
from tapewire.cli.console import Failure
from tapewire.contracts import NotReversible, new_id, unescape

BROKER_WITHIN_S: Final = 5.0
ARRIVES_WITHIN_S: Final = 2.0  # what is ready comes in milliseconds, unless an edge was faster
ANSWERS_WITHIN_S: Final = 2.0
QUIET_S: Final = 0.3
RETURNS_WITHIN_S: Final = 2.0
AT_ONCE: Final = 100  # inboxes whose first alert is looked at over one AMQP channel

FAULTS: Final = (AMQPError, PAMQPException, OSError, TimeoutError)


@dataclass(frozen=True)
class Alert:
    """A message in an inbox.

    Attributes:
        shown: on a screen, and not acknowledged; else it waits for somebody to come.
        at: when it was raised, by its own word.
    """

    id: str
    type: str
    routing_key: str
    body: bytes
    shown: bool
    redelivered: bool
    at: datetime | None

    def as_json(self, now: datetime) -> dict[str, Any]:
        """For programs; the body as the client gets it."""
        return {
            "id": self.id,
            "type": self.type,
            "routingKey": self.routing_key,
            "state": "shown" if self.shown else "waiting",
            "redelivered": self.redelivered,
            "timestamp": self.at and self.at.isoformat(),
            "age_s": age_s(self.at, now),
            "message": parsed(self.body),
        }


@dataclass
class Inbox:
    """An inbox as it stands.

    Attributes:
        user: None where the id was too long to be in a queue's name.
        client: of a program with an inbox of its own.
        ready: messages that nobody holds.
        consumers: edges that have it open; one of them holds it.
        unacked: messages on a screen; None when the holder did not say.
        holder: the edge that has them.
        oldest: when its first message was raised, as far as it could be told.
    """

    queue: str
    user: str | None
    client: str | None
    ready: int
    consumers: int
    unacked: int | None = 0
    holder: str | None = None
    oldest: datetime | None = None
    shown: list[Alert] = field(default_factory=list[Alert], repr=False)

    def as_json(self, now: datetime) -> dict[str, Any]:
        """For programs."""
        return {
            "queue": self.queue,
            "user": self.user,
            "client": self.client,
            "ready": self.ready,
            "unacked": self.unacked,
            "consumers": self.consumers,
            "holder": self.holder,
            "oldest": self.oldest and self.oldest.isoformat(),
            "oldest_age_s": age_s(self.oldest, now),
        }


def named(user: str, client: str | None) -> str:
    """The queue of a user's inbox, or of one of their programs' own."""
    return (inbox(user) if client is None else own_inbox(user, client)).name


def owners(queue: str) -> tuple[str | None, str | None]:
    """User and client of a queue's name; None for what a name does not give back."""
    words = queue.split(".")[1:]
    found: list[str | None] = []
    for word in words[:2]:
        try:
            found.append(unescape(word))
        except NotReversible:
            found.append(None)
    return found[0], (found[1] or "?") if len(found) > 1 else None


def age_s(at: datetime | None, now: datetime) -> float | None:
    """Seconds since `at`; never below zero: a producer's clock may be ahead."""
    return None if at is None else round(max(0.0, (now - at).total_seconds()), 1)


def parsed(body: bytes) -> Any:
    """The body as JSON, or as text where it is none."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def raised_at(body: bytes, property_: datetime | None) -> datetime | None:
    """When a message says that it came about: its body's timestamp, else the AMQP property."""
    message = parsed(body)
    with suppress(TypeError, KeyError, ValueError):
        told = datetime.fromisoformat(message["timestamp"])
        return told if told.tzinfo else told.replace(tzinfo=UTC)
    if property_ is None:
        return None
    return property_ if property_.tzinfo else property_.replace(tzinfo=UTC)


async def names(management: str, amqp: str) -> list[str]:
    """The names of all inboxes, from the management API, as the user of the AMQP URL.

    Raises:
        Failure: it does not answer, or refuses.
    """
    import httpx

    parts = urlsplit(amqp)
    vhost = unquote(parts.path.removeprefix("/")) or "/"
    url = f"{management}/api/queues/{quote(vhost, safe='')}?columns=name&disable_stats=true"
    auth = (unquote(parts.username or ""), unquote(parts.password or ""))
    remedy = "Name a user (`tapewire inbox ls USER`): that needs AMQP only."
    try:
        async with httpx.AsyncClient(timeout=BROKER_WITHIN_S, trust_env=False) as client:
            answer = await client.get(url, auth=auth)
    except httpx.HTTPError as error:
        what = f"the broker's management API ({management}) does not answer: {_words(error)}"
        raise Failure(what, remedy=remedy) from None
    if not answer.is_success:
        what = f"the broker's management API answers {answer.status_code}"
        raise Failure(what, remedy=remedy)
    found = (queue["name"] for queue in answer.json())
    return sorted(name for name in found if name.startswith("inbox."))


@asynccontextmanager
async def connected(amqp: str) -> AsyncGenerator[AbstractConnection]:
    """A connection to the broker, closed at the end.

    Raises:
        Failure: there is none, or it broke.
    """
    remedy = "`tapewire doctor` looks at what is reachable."
    try:
        async with asyncio.timeout(BROKER_WITHIN_S):
            connection = await aiormq.connect(amqp)
    except FAULTS as error:
        raise Failure(f"the broker does not answer: {_words(error)}", remedy=remedy) from None
    try:
        yield connection
    except FAULTS as error:
        raise Failure(f"the broker: {_words(error)}", remedy=remedy) from None
    finally:
        with suppress(*FAULTS):
            await connection.close()


async def counted(connection: AbstractConnection, queues: Iterable[str]) -> list[Inbox]:
    """Each inbox with what is ready and who consumes; without those that are not there."""
    found: list[Inbox] = []
    channel = await connection.channel()
    for queue in queues:
        try:
            told = await channel.queue_declare(queue, passive=True)
        except ChannelNotFoundEntity:  # the broker closes the AMQP channel itself
            channel = await connection.channel()
            continue
        user, client = owners(queue)
        ready, consumers = told.message_count or 0, told.consumer_count or 0
        found.append(Inbox(queue, user, client, ready, consumers))
    await channel.close()
    return found


async def ask_holders(connection: AbstractConnection, inboxes: Sequence[Inbox]) -> None:
    """Have the edges tell what they hold of these inboxes, and note it in them."""
    answers = _Answers(one for one in inboxes if one.consumers)
    if answers.complete.is_set():
        return
    channel = await connection.channel()
    await channel.queue_declare(answers.to, exclusive=True)
    await channel.queue_bind(answers.to, RELAY, routing_key="*.copy")
    await channel.basic_consume(answers.to, answers.hear, no_ack=True)
    for queue in answers.asked:
        headers: Any = {"node": answers.to, "trays": queue}
        await channel.basic_publish(
            b"",
            exchange=RELAY,
            routing_key=f"{queue.split('.')[1]}.asked",
            properties=spec.Basic.Properties(delivery_mode=1, headers=headers),
        )
    await answers.wait()
    await channel.close()
    for one in answers.asked.values():
        one.oldest = one.shown[0].at if one.shown else None


class _Answers:
    """What edges say that they hold, noted in the inboxes that were asked for.

    Attributes:
        to: the name under which it is asked, and of the queue that hears the answers.
        complete: the holder of each has answered.
    """

    def __init__(self, inboxes: Iterable[Inbox]) -> None:
        self.to = f"inspector.{new_id()}"
        self.asked = {one.queue: one for one in inboxes}
        self.complete = asyncio.Event()
        self._news = asyncio.Event()
        for one in self.asked.values():
            one.unacked = None
        self._look()

    async def wait(self) -> None:
        """Wait for the holders. Who consumes an empty inbox holds nothing, and says so.

        Which of several edges the broker has chosen none of them knows. So where all that answered
        hold nothing, this waits a moment for another.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + ANSWERS_WITHIN_S
        while not self.complete.is_set() and loop.time() < until:
            silent = any(one.unacked is None for one in self.asked.values())
            self._news.clear()
            try:
                async with asyncio.timeout(until - loop.time() if silent else QUIET_S):
                    await self._news.wait()
            except TimeoutError:
                return

    async def hear(self, message: DeliveredMessage) -> None:
        """Take a relay; those of edges among each other are none of ours."""
        headers: Mapping[str, Any] = message.header.properties.headers or {}
        one = self.asked.get(str(headers.get("trays")))
        if one is None or headers.get("to") != self.to:
            return
        if headers.get("end"):
            self._end(one, headers)
        else:
            one.shown.append(_copy(message, headers))

    def _end(self, one: Inbox, headers: Mapping[str, Any]) -> None:
        if headers.get("holder"):
            one.holder = str(headers["node"])
        one.unacked = len(one.shown)
        self._news.set()
        self._look()

    def _look(self) -> None:
        if all(one.holder for one in self.asked.values()):
            self.complete.set()


async def look(
    connection: AbstractConnection, inboxes: Sequence[Inbox], *, each: int
) -> dict[str, list[Alert]]:
    """The first `each` messages that wait in inboxes that nobody has open, given back at once.

    However few are wanted, the window is an edge's, so that the order stays.
    """
    seen: dict[str, list[Alert]] = {one.queue: [] for one in inboxes}
    ready = {one.queue: one.ready for one in inboxes}
    came: asyncio.Queue[tuple[str, DeliveredMessage]] = asyncio.Queue()
    channel: AbstractChannel = await connection.channel()
    try:
        await channel.basic_qos(prefetch_count=INBOX_WINDOW)
        for queue in seen:

            async def arrive(message: DeliveredMessage, queue: str = queue) -> None:
                came.put_nowait((queue, message))

            await channel.basic_consume(queue, arrive)
        with suppress(TimeoutError):
            wanted = {one.queue for one in inboxes if one.ready}
            while wanted:
                async with asyncio.timeout(ARRIVES_WITHIN_S):
                    queue, message = await came.get()
                if queue in wanted:
                    seen[queue].append(_waiting(message))
                    if len(seen[queue]) == min(each, ready[queue]):
                        wanted.remove(queue)
    finally:
        await channel.close()
    await returned(connection, ready)
    return seen


async def returned(connection: AbstractConnection, counts: Mapping[str, int]) -> None:
    """Wait until so many wait in the queues again, or somebody else takes them.

    The broker answers the closing of an AMQP channel before it has put everything back.
    """
    channel = await connection.channel()
    with suppress(TimeoutError):
        async with asyncio.timeout(RETURNS_WITHIN_S):
            for queue, count in counts.items():
                told = await channel.queue_declare(queue, passive=True)
                while (told.message_count or 0) < count and not told.consumer_count:
                    await asyncio.sleep(0.01)
                    told = await channel.queue_declare(queue, passive=True)
    await channel.close()


async def first_of_each(connection: AbstractConnection, inboxes: Sequence[Inbox]) -> None:
    """Note in each inbox that nobody has open when the first message in it was raised."""
    waiting = [one for one in inboxes if one.ready and not one.consumers]
    for start in range(0, len(waiting), AT_ONCE):
        some = waiting[start : start + AT_ONCE]
        found = await look(connection, some, each=1)
        for one in some:
            one.oldest = found[one.queue][0].at if found[one.queue] else None


def _copy(message: DeliveredMessage, headers: Mapping[str, Any]) -> Alert:
    """What an edge holds, as it relays it."""
    return Alert(
        id=str(headers.get("id")),
        type=message.header.properties.message_type or "",
        routing_key=str(headers.get("key")),
        body=message.body,
        shown=True,
        redelivered=bool(headers.get("re")),
        at=raised_at(message.body, None),
    )


def _waiting(message: DeliveredMessage) -> Alert:
    properties = message.header.properties
    headers: Mapping[str, Any] = properties.headers or {}
    return Alert(
        id=properties.message_id or "",
        type=properties.message_type or "",
        routing_key=str(headers.get("x-routing-key") or message.routing_key or ""),
        body=message.body,
        shown=False,
        redelivered=bool(message.redelivered),
        at=raised_at(message.body, properties.timestamp),
    )


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
