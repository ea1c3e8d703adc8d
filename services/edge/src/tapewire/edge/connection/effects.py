"""What trays take in and decide, as values."""

from collections.abc import Callable, Hashable
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from tapewire.edge.transport.frames import Message

Member: TypeAlias = Hashable
"""A connection, as a tray knows it."""


class Kind(StrEnum):
    """What a tray keeps, and what settles it."""

    INBOX = "critical"
    """Critical messages; only a client's ack settles them."""

    RECENT = "recent"
    """Recent messages; a pong that proves their receipt settles them."""


class Parcel(NamedTuple):
    """One message on its way: what the edge needs to know, all from AMQP properties."""

    id: str
    message: Message
    exchange: str
    routing_key: str
    type: str = ""
    redelivered: bool = False
    trace: str = ""  # W3C traceparent of its producer's span, for critical messages


class Send(NamedTuple):
    """Write a message to a connection. ``number`` is set where a pong has to prove receipt."""

    member: Member
    parcel: Parcel
    message: Message
    number: int | None = None


class Settle(NamedTuple):
    """Give a delivery tag back: acknowledged, or requeued. ``since``: when it was delivered.

    ``acked``: the message, where a client's acknowledgement is why.
    """

    tag: int
    since: float
    requeue: bool = False
    trace: str = ""
    acked: Parcel | None = None


class Copy(NamedTuple):
    """Relay a message to the user's other edges.

    ``repeat``: they showed it, nobody acked it. ``number``: counted from 1 by the tray, so that
    who misses one knows; repetitions have none.
    """

    parcel: Parcel
    repeat: bool = False
    number: int = 0


class Ask(NamedTuple):
    """Relays were missed: ask the holder what it holds. What it relays meanwhile is kept."""


class Succeed(NamedTuple):
    """This edge has become the holder: have the tray ``succeed`` soon, if nothing does before."""


class TellAcked(NamedTuple):
    """Tell a connection that another device acknowledged these."""

    member: Member
    ids: tuple[str, ...]


class RelayAcked(NamedTuple):
    """Tell the user's other edges what was acknowledged here."""

    ids: tuple[str, ...]


Effect: TypeAlias = Send | Settle | Copy | Ask | Succeed | TellAcked | RelayAcked
Interested: TypeAlias = Callable[[Member, Parcel], bool]
