"""A line: a tray of this edge and its consumer on the broker."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Final

from tapewire.broker.topology import Queue
from tapewire.edge.connection.connection import Connection
from tapewire.edge.connection.effects import Kind, Member, Parcel
from tapewire.edge.mailbox.lane import Lane
from tapewire.edge.mailbox.state import State
from tapewire.edge.mailbox.tray import Tray
from tapewire.edge.runtime.flag import Flag

_numbers: Final = count(1)


def connection_of(member: Member) -> Connection:
    """Return the connection that a member is; trays know members by identity only."""
    assert isinstance(member, Connection)
    return member


def _interested(member: Member, parcel: Parcel) -> bool:
    return connection_of(member).wants(parcel)


class Line:
    """One queue that connections of this edge need, from the first look at it to its release.

    Attributes:
        queue: as it is declared.
        shared: whether connections on several edges may need it at once.
        claims: the connections that need it: members, and those about to join.
        ready: it was looked up, or declared.
        tried: it is ready, or cannot be made so for now.
        in_reach: it was there when it was last looked at. A queue of a node that is down is not,
            while the rest of the broker is.
        expected: how many edges consumed it when this one asked who holds what.
        asked: it was consumed elsewhere then.
        answered: its holder has told, or all of them have.
        epoch: tells this opening of the line from others of this edge.
        released: nothing of it is left on this edge.
        on_released: called then.
        lock: held while it is looked up, consumed or released; one at a time.
        waiting: how many messages its queue had ready when it was last looked at.
        succeeding: waits for the last holder's end, since this edge has become the holder.
    """

    def __init__(
        self, user: str, word: str, queue: Queue, kind: Kind, lane: Lane, *, shared: bool
    ) -> None:
        self.user = user
        self.word = word
        self.queue = queue
        self.kind = kind
        self.lane = lane
        self.shared = shared
        self.epoch = next(_numbers)
        self.tray = Tray(queue.name, kind, _interested)
        self.claims: set[Connection] = set()
        self.ready = Flag()
        self.tried = Flag()
        self.in_reach = Flag()
        self.expected = 0
        self.asked = False
        self.answered = Flag()
        self.released = Flag()
        self.on_released: list[Callable[[], None]] = []
        self.lock = asyncio.Lock()
        self.waiting = 0
        self.was_absent = False
        self.consumer_tag = ""
        self.attaching: asyncio.Task[None] | None = None
        self.succeeding: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The queue's name."""
        return self.queue.name

    @property
    def has_heirs(self) -> bool:
        """Whether another edge may wait for this one's end: any inbox's, a program's own too."""
        return self.shared or self.kind is Kind.INBOX

    @property
    def answers_to_the_end(self) -> bool:
        """Whether an edge that opens it while it is given back here must be told of that.

        Of a shared quorum queue the broker tells, once something comes of it.
        """
        is_draining = self.tray.state is State.DRAINING
        return is_draining and self.kind is Kind.INBOX and not (self.shared and self.is_quorum)

    @property
    def is_quorum(self) -> bool:
        """Whether it is a quorum queue.

        The broker counts the consumers of one otherwise: the active one, and those that are
        cancelled and have not given all back. Those that wait for their turn do not count.
        """
        return self.queue.arguments["x-queue-type"] == "quorum"

    def new_consumer_tag(self) -> str:
        """Return a tag of its own for each consumer, so that a late cancel hits no newer one."""
        self.consumer_tag = f"{self.name}#{next(_numbers)}"
        return self.consumer_tag
