"""The mailroom: opens the inbox of a user who has none, and puts into it what came for them.

What `tw.inbox` can route to no inbox arrives in the queue `mailroom`, in order. Of each delivery:

1. the inbox is declared, bound for notices to everyone (`all.#`), but not yet for its user;
2. the message is published straight to it, mandatory, and confirmed;
3. if nothing else waits in the mailroom, every inbox opened so far is bound for its user
   (`<user>.#`): from then on alerts go there directly;
4. the delivery is acked.

The last binding comes last because it is the one that lets an alert overtake those that still
wait here. Until it stands, every alert of the user takes its turn in the mailroom. What remains is
an alert that reaches the mailroom between the look at its depth and the binding (a millisecond):
one that is raised after it may then come before it. Nothing is lost either way. An edge that opens
the inbox first, because its user has just connected, binds it when it finds the mailroom empty, or
after two seconds.

A mailroom that never empties must not be the way for ever. Where more has waited for a minute, an
inbox is bound once all that stood behind its user's last message is through.
"""

import json
import logging
import time
from contextlib import suppress
from typing import Final, NamedTuple

from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelNotFoundEntity

from tapewire.broker import (
    CONNECTION_ERRORS,
    Delivery,
    Link,
    NotConfirmed,
    Publisher,
    Settlement,
    Unroutable,
    topology,
)
from tapewire.broker.topology import Queue, QueueType
from tapewire.contracts import EVERYONE, NotReversible, escape, unescape
from tapewire.service import metrics

log = logging.getLogger(__name__)

PREFETCH: Final = 1  # one at a time keeps the order, also when a delivery has to come again
NEVER_QUIET_S: Final = 60.0  # a line that does not empty for so long is no reason to wait on
ROUTING_KEY: Final = "x-routing-key"
"""Header of a forwarded message: the key that it was published with; its own is the queue."""


class UnknownRecipient(ValueError):
    """Neither routing key nor body says whose message it is."""

    settlement = Settlement.DEAD_LETTER


def recipient(delivery: Delivery) -> str:
    """Return the user whose message it is, `all` for everyone.

    Raises:
        UnknownRecipient: it cannot be told.
    """
    word = delivery.routing_key.partition(".")[0]
    if word == EVERYONE:
        return EVERYONE
    try:
        try:
            user = unescape(word)
        except NotReversible:
            user = json.loads(delivery.body)["userId"]
        if escape(user) == word:
            return user
    except (ValueError, LookupError, TypeError) as error:
        raise UnknownRecipient(f"{word!r} is no user: {error}") from error
    raise UnknownRecipient(f"{word!r} is no user's word")


class _Unbound(NamedTuple):
    """An inbox that was opened and is not bound for its user yet.

    ``due``: how many deliveries will have been handled when all that stood in line behind the
    user's last one is through. ``since``: seconds of the monotonic clock.
    """

    due: int
    since: float


class Mailroom:
    """Handles deliveries of the queue `mailroom`, one at a time.

    Args:
        link: of role topology; a refused declaration closes the AMQP channel it was made on.
        publisher: for the messages.
        queue_type: of the inboxes that it opens.
    """

    def __init__(self, link: Link, publisher: Publisher, *, queue_type: QueueType) -> None:
        self._link = link
        self._publisher = publisher
        self._queue_type: QueueType = queue_type
        self._channel: AbstractChannel | None = None
        self._handled = 0
        self._unbound: dict[str, _Unbound] = {}

    @property
    def unbound(self) -> tuple[str, ...]:
        """The users whose alerts come here although they have an inbox, who is due first first."""
        return tuple(self._unbound)

    async def handle(self, delivery: Delivery) -> Settlement:
        """Return what is to become of a delivery, once its message is in an inbox."""
        user = recipient(delivery)
        try:
            if user == EVERYONE:
                # Nobody has an inbox yet. Users who come later find it in the history.
                log.info("a notice for everyone came before the first user")
            else:
                await self._deliver(delivery, user)
            await self._bind_who_is_through(user)
        except Unroutable:
            log.warning("an inbox was deleted while it was filled; it is opened again")
            self._unbound.pop(user, None)
            return Settlement.REQUEUE
        except (NotConfirmed, *CONNECTION_ERRORS) as error:
            log.warning("not put into an inbox, it comes again: %s", error or type(error).__name__)
            return Settlement.REQUEUE
        return Settlement.ACK

    async def _deliver(self, delivery: Delivery, user: str) -> None:
        inbox = topology.inbox(user, queue_type=self._queue_type)
        if user not in self._unbound:
            await self._open(inbox)
        await self._forward(delivery, inbox)
        metrics.counter(metrics.MAILROOM_FORWARDED).add(1)

    async def _open(self, inbox: Queue) -> None:
        """Declare an inbox that is not there; bind it for everyone's notices."""
        channel = await self._open_channel()
        try:
            await channel.queue_declare(inbox.name, passive=True)
        except ChannelNotFoundEntity:
            channel = await self._open_channel()
            await channel.queue_declare(inbox.name, durable=True, arguments=dict(inbox.arguments))
            metrics.counter(metrics.MAILROOM_OPENED).add(1)
        for binding in inbox.bindings[:-1]:
            await channel.queue_bind(inbox.name, binding.source, routing_key=binding.routing_key)

    async def _forward(self, delivery: Delivery, inbox: Queue) -> None:
        await self._publisher.publish(
            "",
            inbox.name,
            delivery.body,
            type=delivery.type,
            message_id=delivery.message_id,
            timestamp=delivery.timestamp,
            headers=delivery.headers | {ROUTING_KEY: delivery.routing_key},
            mandatory=True,
        )

    async def _bind_who_is_through(self, user: str) -> None:
        """Bind, for their users, the inboxes of whom nothing waits in the mailroom any more."""
        channel = await self._open_channel()
        told = await channel.queue_declare(topology.MAILROOM.name, passive=True)
        waiting = told.message_count or 0
        now = time.monotonic()
        self._handled += 1
        if user != EVERYONE:
            since = self._unbound.pop(user, _Unbound(0, now)).since
            # The end of the line only moves back: the newest entry is the one that is due last.
            self._unbound[user] = _Unbound(self._handled + waiting, since)
        for name, unbound in list(self._unbound.items()):
            if waiting and unbound.due > self._handled:
                return
            if not waiting or now - unbound.since > NEVER_QUIET_S:
                await self._bind(name)

    async def _bind(self, user: str) -> None:
        """Bind an inbox for its user; one that was deleted is opened again when it is needed."""
        channel = await self._open_channel()
        inbox = topology.inbox(user, queue_type=self._queue_type)
        own = inbox.bindings[-1]
        with suppress(ChannelNotFoundEntity):
            await channel.queue_bind(inbox.name, own.source, routing_key=own.routing_key)
        del self._unbound[user]

    async def _open_channel(self) -> AbstractChannel:
        if self._channel is None or self._channel.is_closed:
            self._channel = await self._link.channel(timeout_s=self._publisher.deadline_s)
        return self._channel
