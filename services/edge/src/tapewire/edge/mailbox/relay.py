"""What edges tell each other about a user, on ``tw.relay``.

    <user>.opened   trays, client             these are open here: who holds messages of one, answer
    <user>.copy     tray, id, exchange, …     the holder shows this message (the body); ``again``:
                                              nobody acknowledged it; ``to``: an answer to one edge;
                                              ``at``: the holder's count of what it relays
    <user>.copy     tray, to, end, holder     the answer is complete; without ``to``: all that was
                                              relayed so far, up to ``at``, should be there
    <user>.acked    tray                      these ids (the body, JSON) were acknowledged here
    <user>.closing  tray                      this tray is given back from here; ``closed`` follows
    <user>.closed   tray                      this tray is closed here
    <user>.hang_up  client                    an operator wants this connection closed, or all
    <user>.asked    trays                     an operator looks: who holds messages of one, answer

Each names its sender's own queue: while that is there, the sender is. All of one edge are published
on one AMQP channel, in order, without confirms: whatever is lost here is still on the broker, in
its tray. Who misses a number asks the holder; when the broker was out of reach, the holder says how
far it was.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from aiormq.abc import DeliveredMessage

from tapewire.broker import CONNECTION_ERRORS, BrokerError, Link, Outgoing, Tap, transient
from tapewire.broker.topology import RELAY, Binding
from tapewire.edge.connection.effects import Parcel
from tapewire.edge.runtime.tasks import Tasks
from tapewire.edge.transport.frames import Message

log = logging.getLogger(__name__)

WAITING: Final = 10_000  # relays that wait for the broker; past it they are dropped, see above


class Note(NamedTuple):
    """A relay as it arrived."""

    user: str
    word: str
    node: str
    trays: tuple[str, ...]
    to: str
    client: str
    parcel: Parcel | None = None
    ids: tuple[str, ...] = ()
    again: bool = False
    end: bool = False
    holder: bool = False
    at: tuple[str, int] = ("", 0)
    queue: str = ""
    """The sender's own queue: while it is there, so is the sender."""


def binding(user_word: str) -> Binding:
    """Return what an edge binds for each user who is connected to it."""
    return Binding(RELAY, f"{user_word}.*")


def read(message: DeliveredMessage) -> Note | None:
    """Return the note that ``message`` is, or None when it makes no sense."""
    properties = message.header.properties
    headers: dict[str, Any] = dict(properties.headers or {})
    user, _, word = (message.routing_key or "").rpartition(".")
    parcel = None
    ids: tuple[str, ...] = ()
    try:
        if word == "copy" and not headers.get("end"):
            parcel = Parcel(
                id=headers["id"],
                message=Message(message.body),
                exchange=headers["exchange"],
                routing_key=headers["key"],
                type=properties.message_type or "",
                redelivered=bool(headers.get("re")),
            )
        elif word == "acked":
            ids = tuple(map(str, json.loads(message.body)))
        return Note(
            user=user,
            word=word,
            node=headers["node"],
            trays=tuple(headers["trays"].split(",")),
            to=headers.get("to", ""),
            client=headers.get("client", ""),
            parcel=parcel,
            ids=ids,
            again=bool(headers.get("again")),
            end=bool(headers.get("end")),
            holder=bool(headers.get("holder")),
            at=_count_of(headers),
            queue=headers.get("queue", ""),
        )
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        log.warning("a relay makes no sense: %r", error)
        return None


def _count_of(headers: dict[str, Any]) -> tuple[str, int]:
    """Return whose count it is, edge and opening of the tray, and the number."""
    epoch, _, number = str(headers.get("at", "")).partition(".")
    return f"{headers['node']}.{epoch}", int(number or 0)


class _Said(NamedTuple):
    """A relay that waits for the end of the loop's turn."""

    routing_key: str
    body: bytes
    type: str
    headers: dict[str, str | bool]


class Relays:
    """Publishes this edge's relays.

    Args:
        link: a connection of role ``publish``.
        node: the name of this edge.
    """

    def __init__(self, link: Link, node: str, tasks: Tasks) -> None:
        self._link = link
        self._node = node
        self._tasks = tasks
        self._due: list[_Said] = []
        self._tap: Tap | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._was_open = False
        self.queue: Callable[[], str] = str
        """Returns the name of this edge's own queue."""
        self.on_back: Callable[[], None] | None = None
        """Called when relays pass again, and the last ones before may be lost."""
        self.sent = 0
        link.on_up(self._back)

    def opened(self, user: str, trays: Iterable[str], client: str | None) -> None:
        """Say that trays were opened here, and by which named client."""
        if self._due and (last := self._due[-1]).routing_key == f"{user}.opened":
            headers = last.headers
            if headers["client"] == (client or ""):  # a user's two trays are opened at once
                headers["trays"] = ",".join((str(headers["trays"]), *trays))
                return
        self._put(user, "opened", trays, client=client or "")

    def closing(self, user: str, tray: str) -> None:
        """Say that a tray is being given back."""
        self._put(user, "closing", [tray])

    def closed(self, user: str, tray: str) -> None:
        """Say that a tray was closed here."""
        self._put(user, "closed", [tray])

    def acked(self, user: str, tray: str, ids: tuple[str, ...]) -> None:
        """Say what was acknowledged here."""
        self._put(user, "acked", [tray], json.dumps(ids).encode())

    def hang_up(self, user: str, connection_id: str) -> None:
        """Have the other edges close a user's connections, or the one of that id."""
        self._put(user, "hang_up", (), client=connection_id)

    def copy(
        self,
        user: str,
        tray: str,
        parcel: Parcel,
        *,
        at: tuple[int, int] = (0, 0),
        to: str = "",
        again: bool = False,
    ) -> None:
        """Pass a message on, to all edges or, as an answer, to one."""
        self.sent += 1
        self._put(
            user,
            "copy",
            [tray],
            parcel.message.body,
            parcel.type,
            id=parcel.id,
            exchange=parcel.exchange,
            key=parcel.routing_key,
            re=parcel.redelivered,
            again=again,
            to=to,
            at=_at(at),
        )

    def end(self, user: str, tray: str, *, to: str, holder: bool, at: tuple[int, int]) -> None:
        """Say that an answer is complete."""
        self._put(user, "copy", [tray], to=to, end=True, holder=holder, at=_at(at))

    def mark(self, user: str, tray: str, *, at: tuple[int, int]) -> None:
        """Say how far this edge has relayed."""
        self._put(user, "copy", [tray], end=True, holder=True, at=_at(at))

    async def _back(self) -> None:
        if self._was_open and self.on_back is not None:
            self.on_back()

    def _put(
        self,
        user: str,
        word: str,
        trays: Iterable[str],
        body: bytes = b"",
        type_: str = "relay",
        **headers: str | bool,
    ) -> None:
        if len(self._due) >= WAITING:
            return
        headers |= {"node": self._node, "queue": self.queue(), "trays": ",".join(trays)}
        self._due.append(_Said(f"{user}.{word}", body, type_, headers))
        if self._flushing is None or self._flushing.done():
            self._flushing = self._tasks.spawn(self._flush(), "relays")

    async def _flush(self) -> None:
        try:
            if self._tap is None or self._tap.is_closed:
                self._tap = None
                self._tap = await self._link.tap(timeout_s=5.0)
                self._was_open = True
            due, self._due = self._due, []
            self._tap.publish(
                Outgoing(RELAY, one.routing_key, one.body, transient(one.type, one.headers))
                for one in due
            )
        except (*CONNECTION_ERRORS, BrokerError) as error:
            log.info("%d relays dropped: %s", len(self._due), error)
            self._due.clear()


def _at(count: tuple[int, int]) -> str:
    return "{}.{}".format(*count)
