"""Writing what is due, once per turn of the loop; above all what many connections hear."""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Final

from tapewire.edge.connection.walk import SLICE, Hearers, Walk
from tapewire.edge.transport.frames import Message

if TYPE_CHECKING:
    from tapewire.edge.connection.connection import Connection

log = logging.getLogger(__name__)

FEW: Final = 4  # hearers: their own queues cost less than a walk
SAME_TRIED: Final = 64  # walks; to look at one costs a 50,000th of a walk to a thousand
NEARLY: Final = 16  # of so many one may be another: to tell those apart costs less than a walk
CROWDED: Final = 512  # messages not done with: a connection's high-water mark, and half as much


class Flusher:
    """Writes what connections have due, once per turn of the loop.

    What many hear is written by walks (``walk``), one after the other in the order in which they
    were begun, a slice of connections in each turn. Messages that the same people hear join one
    walk, unless that would have them overtake a message of their key, or keep others waiting.

    A connection gets its own frames, and what few hear, by a queue of its own. Before a frame goes
    there, ``settle`` puts in what the walks still owe it, so that all stand in the order in which
    they came; the walks pass it over for those, by their number (``Connection.served``).

    Attributes:
        walks: under way; the first has begun, or begins next.
        newest: the number of the last message shared.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._called = False
        self._due: list[Connection] = []
        self.walks: deque[Walk] = deque()
        self.newest = 0

    def add(self, connection: Connection) -> None:
        """Have ``connection`` flushed at the end of this turn."""
        self._due.append(connection)
        self._call()

    def share(self, hearers: Hearers, key: str, message: Message) -> None:
        """Write a message of class live to all ``hearers``, after what they were told before."""
        if len(hearers) <= FEW:
            for connection in hearers:
                connection.live_message(key, message)
            return
        walk = self._walk_for(hearers, key)
        self.newest += 1
        walk.add(self.newest, key, message)
        self._call()

    def settle(self, connection: Connection) -> None:
        """Put what the walks still owe a connection into its own queue, and serve it no more."""
        connection.quick = False
        for walk in self.walks:
            walk.settle(connection)
        connection.served = self.newest

    def _walk_for(self, hearers: Hearers, key: str) -> Walk:
        """Return the walk that a message joins, or a new one behind all others."""
        for walk in islice(reversed(self.walks), SAME_TRIED):
            if walk.hearers is hearers and (not walk.begun or walk is self.walks[-1]):
                return walk
            if walk.begun or key in walk.keys:
                break
        if self.walks and self._adapted(self.walks[-1], hearers):
            return self.walks[-1]
        walk = Walk(hearers)
        self.walks.append(walk)
        return walk

    def _adapted(self, walk: Walk, hearers: Hearers) -> bool:
        """Have the last walk go on for ``hearers``, if they are nearly those that it has.

        Subscribers come and go while others are told, and many lists differ by a symbol.
        """
        most = len(hearers) // NEARLY
        if abs(len(hearers) - len(walk.hearers)) > most or len(hearers) > walk.room:
            return False
        changed = walk.hearers.keys() ^ hearers.keys()
        if len(changed) > most:
            return False
        for connection in changed:
            self.settle(connection)
        walk.change(hearers, changed)
        return True

    def _call(self) -> None:
        if not self._called:
            self._called = True
            self._call_soon(self._turn)

    def _turn(self) -> None:
        self._called = False
        self._walk()
        due, self._due = self._due, []
        for connection in due:
            try:
                connection.flush()
            except Exception:  # one socket's fault must not keep the others waiting
                log.exception("flush failed")
        if self.walks:
            self._call()

    def _walk(self) -> None:
        """Visit a slice of connections, or several small ones.

        When more waits than connections can take, everybody is visited before anything is read:
        what cannot be written yet is kept by the broker, not here.
        """
        walks = self.walks
        left = SLICE if sum(map(len, walks)) <= CROWDED else sys.maxsize
        while walks and (left == SLICE or len(walks[0].next) <= left):
            left -= len(walks[0].next)
            try:
                done = walks[0].step()
            except Exception:  # one message's fault must not stop all that come after it
                log.exception("walk failed")
                done = True
            if done:
                walks.popleft()
