"""Inboxes as they stand on the broker, looked at without taking anything from them.

Three ways, for three things (docs/adr/0010):

- the names: the broker's management API, since AMQP lists nothing;
- what an edge has on a screen, unacknowledged: the edge that holds it says (`holders`);
- what waits for somebody to come: this connection consumes it, unacknowledged, and closes its AMQP
  channel, upon which the broker puts everything back in its place. It counts as one of the
  1,000,000 redeliveries that an alert can have, and whoever comes at that very moment waits until
  it is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection, DeliveredMessage
from aiormq.exceptions import AMQPError, ChannelNotFoundEntity
from pamqp.exceptions import PAMQPException

from tapewire.broker.topology import INBOX_WINDOW
from tapewire.cli.console import Failure
from tapewire.cli.inboxes import Alert, Inbox, owners, raised_at

BROKER_WITHIN_S: Final = 5.0
ARRIVES_WITHIN_S: Final = 2.0  # what is ready comes in milliseconds, unless an edge was faster
RETURNS_WITHIN_S: Final = 2.0
AT_ONCE: Final = 100  # inboxes whose first alert is looked at over one AMQP channel

FAULTS: Final = (AMQPError, PAMQPException, OSError, TimeoutError)


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
