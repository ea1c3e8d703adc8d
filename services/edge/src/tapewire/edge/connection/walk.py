"""Telling many connections what is class live: round and round, a slice of them at a time.

A thousand writes take nine milliseconds. Made in one go, nothing is read meanwhile, and a message
that comes then costs a thousand writes of its own. So a walk goes on from slice to slice, and the
loop reads in between. A message is done with when the walk is back where it was when the message
came. What is not done with is then exactly what the slice that is visited now has not had: one
piece of bytes for the whole slice, and nothing kept for any connection (ADR 20).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple

from tapewire.edge.connection.session import Phase
from tapewire.edge.transport.frames import Joined, Message

if TYPE_CHECKING:
    from tapewire.edge.connection.connection import Connection

log = logging.getLogger(__name__)

LIVE: Final = Phase.LIVE  # an enum's member costs a tenth of a microsecond to look up
SLICE: Final = 128  # connections: about a millisecond, and eight turns of the loop for a thousand


class Hearers(dict["Connection", None]):
    """Who hears something at one moment, in the order in which they came. Never changed."""

    __slots__ = ("__weakref__",)


class Entry(NamedTuple):
    """A message that not everyone has had; ``came_at`` counts the slices visited before it."""

    key: str
    message: Message
    number: int
    came_at: int


class Walk:
    """One way round its hearers, as long as new messages come.

    Attributes:
        hearers: to whom.
        keys: of its messages, until it begins.
    """

    __slots__ = ("_joined", "_log", "_places", "_slices", "_visited", "hearers", "keys")

    def __init__(self, hearers: Hearers) -> None:
        everyone = list(hearers)
        size = ceil(len(everyone) / ceil(len(everyone) / SLICE))
        self._slices = [everyone[at : at + size] for at in range(0, len(everyone), size)]
        self._places: dict[Connection, int] | None = None  # in which slice; made when asked for
        self.hearers = hearers
        self.keys: set[str] = set()
        self._log: list[Entry] = []
        self._visited = 0  # slices, over all rounds
        self._joined: dict[int, Joined] = {}  # by how much of the log it leaves out

    @property
    def room(self) -> int:
        """How many there may be before its slices are more than twice as long as they should be."""
        return 2 * SLICE * len(self._slices)

    @property
    def begun(self) -> bool:
        """Whether somebody was visited."""
        return self._visited > 0

    @property
    def next(self) -> Sequence[Connection]:
        """The slice that is visited next."""
        return self._slices[self._visited % len(self._slices)]

    def __len__(self) -> int:
        """Return how many messages not everyone has had."""
        return len(self._log)

    def add(self, number: int, key: str, message: Message) -> None:
        """Tell a message; its ``number`` is higher than those before."""
        if not self._visited:
            self.keys.add(key)
        self._log.append(Entry(key, message, number, self._visited))
        self._joined.clear()

    def step(self) -> bool:
        """Write to the next slice; return whether everyone has had everything."""
        self._write(self.next)
        self._visited += 1
        done, begin = 0, self._visited - len(self._slices)
        while done < len(self._log) and self._log[done].came_at <= begin:
            done += 1
        if done:
            del self._log[:done]
            self._joined.clear()
        return not self._log

    def settle(self, connection: Connection) -> None:
        """Have one connection take now, into its own queue, what it has not had."""
        if connection not in self.hearers:
            return
        size = len(self._slices)
        ahead = (self._where()[connection] - self._visited) % size  # slices until its next turn
        seen = self._visited + ahead - size  # its last turn; below 0: none yet
        had = 0
        while had < len(self._log) and self._log[had].came_at <= seen:
            had += 1
        self._tell(connection, had)

    def change(self, hearers: Hearers, changed: Iterable[Connection]) -> None:
        """Go on for ``hearers``: the same, but for ``changed``, who have come or left.

        These are settled: those who left are owed nothing, and those who came are passed over for
        what was told before.
        """
        places = self._where()
        for connection in changed:
            if connection in hearers:
                at = min(range(len(self._slices)), key=lambda at: len(self._slices[at]))
                self._slices[at].append(connection)
                places[connection] = at
            else:
                self._slices[places.pop(connection)].remove(connection)
        self.hearers = hearers

    def _where(self) -> dict[Connection, int]:
        if self._places is None:
            self._places = {one: at for at, part in enumerate(self._slices) for one in part}
        return self._places

    def _frames(self, had: int) -> Joined:
        """Return the log as one write, without its first ``had`` messages."""
        frames = self._joined.get(had)
        if frames is None:
            frames = Joined([entry.message for entry in self._log[had:]])
            self._joined[had] = frames
        return frames

    def _tell(self, connection: Connection, had: int) -> None:
        """Put the log into a connection's own queue, but for what it ``had`` or was served."""
        entries, served = self._log, connection.served
        while had < len(entries) and entries[had].number <= served:
            had += 1
        if had < len(entries):
            connection.hear([entry[:2] for entry in entries[had:]], self._frames(had))

    def _write(self, part: Sequence[Connection]) -> None:
        """Write the log to each of a slice.

        Most of what an edge does is this loop, so it is one: calls would cost more than what
        they do. It closes nobody, and nothing that it calls shares or settles.
        """
        frames = self._frames(0)
        plain, count, first = frames.plain, len(self._log), self._log[0].number
        written = 0
        for connection in part:
            if not connection.quick and not connection.quicken(first):
                self._tell(connection, 0)
                continue
            try:
                if connection.compressed:
                    data = frames.deflated(in_a_row=connection.keeps_window)
                    connection.straight(data)
                    connection.tally.bytes += len(data)
                    connection.tally.live += count
                else:
                    connection.straight(plain)
                    written += 1
            except Exception:  # one socket's fault must not keep the others waiting
                log.exception("write failed")
                connection.quick = False
        if written:
            tally = part[0].tally  # all have the process's one
            tally.live += written * count
            tally.bytes += written * len(plain)
