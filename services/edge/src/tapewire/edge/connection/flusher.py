"""Writing what is due, once per turn of the loop; above all what many connections hear.

Most of what an edge does are the loops of this module, so each is one: calls would cost more than
what they do. They close nobody, so what they walk over may be an audience itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from tapewire.edge.connection.session import Phase
from tapewire.edge.transport.frames import Joined, Message

if TYPE_CHECKING:
    from tapewire.edge.connection.connection import Connection

log = logging.getLogger(__name__)

LIVE: Final = Phase.LIVE  # an enum's member costs a tenth of a microsecond to look up

Shared: TypeAlias = "tuple[Mapping[Connection, None], list[tuple[str, Message]]]"
"""Messages of class live with their keys, and who hears them."""

SAME_TRIED: Final = 4  # audiences; beyond it comparing would cost more than joining saves


class Flusher:
    """Writes what connections have due, once per turn of the loop.

    What many hear is kept once for all of them until then, and written in one walk over them: to
    visit a thousand connections costs more than what is done there, since none is in the cache.
    Once a connection has a frame of its own in a turn, all goes by its own queue, in order.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._due: list[Connection] = []
        self.shared: list[Shared] = []

    def add(self, connection: Connection) -> None:
        """Have ``connection`` flushed at the end of this turn."""
        if not self._due:
            self._call_soon(self._flush)
        self._due.append(connection)

    def spread(self) -> None:
        """Put what is shared into its hearers' own queues, before a frame that comes after it."""
        shared, self.shared = self.shared, []
        for hearers, messages in shared:
            tell_live(hearers, messages)

    def share(self, hearers: Mapping[Connection, None], key: str, message: Message) -> None:
        """Write a message of class live to all ``hearers`` at the end of this turn."""
        if self._due:
            tell_live(hearers, ((key, message),))
            return
        if not self.shared:
            self._call_soon(self._flush)
        # Most people watch the same lists. Comparing two audiences is a fraction of a walk over
        # one of them, and what is heard together is joined once.
        for known, messages in self.shared[-SAME_TRIED:]:
            if len(known) == len(hearers) and known == hearers:
                messages.append((key, message))
                return
        self.shared.append((hearers, [(key, message)]))

    def _flush(self) -> None:
        shared, self.shared = self.shared, []
        for hearers, messages in shared:
            write_shared(hearers, messages)
        due, self._due = self._due, []
        for connection in due:
            try:
                connection.flush()
            except Exception:  # one socket's fault must not keep the others waiting
                log.exception("flush failed")


def tell_live(connections: Iterable[Connection], messages: Sequence[tuple[str, Message]]) -> None:
    """Write messages of class live, with their keys, to each; or keep the newest of a key.

    Most of what an edge does is this loop, so it is one: calls would cost more than what they
    do. It closes nobody, so ``connections`` may be an audience itself.
    """
    frames = Joined([message for _, message in messages])
    plain = frames.plain
    told = 0
    tally = None
    for connection in connections:
        if connection.session.phase is not LIVE:
            continue
        told += 1
        tally = connection.tally
        outbound = connection.outbound
        if outbound.lagging:
            before = outbound.conflated
            for key, message in messages:
                outbound.live(key, message.frame(compressed=connection.compressed))
            tally.conflated += outbound.conflated - before
            continue
        connection.quick = True
        if connection.flusher.shared:
            connection.flusher.spread()
        outbound.ready.append(
            frames.deflated(in_a_row=connection.keeps_window) if connection.compressed else plain
        )
        if not connection.due:
            connection.due = True
            connection.flusher.add(connection)
    if tally is not None:
        tally.live += told * len(messages)


def share(hearers: Mapping[Connection, None], key: str, message: Message) -> None:
    """Write a message of class live to all ``hearers`` at the end of this turn."""
    for connection in hearers:  # all have the process's one flusher
        connection.flusher.share(hearers, key, message)
        return


def write_shared(
    connections: Mapping[Connection, None], messages: Sequence[tuple[str, Message]]
) -> None:
    """Write messages of class live to each at once; no frames of their own are due."""
    frames = Joined([message for _, message in messages])
    plain, count = frames.plain, len(messages)
    others: list[Connection] = []
    written = 0
    tally = None
    for connection in connections:
        if not connection.quick:
            others.append(connection)
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
        tally = connection.tally
    if tally is not None:
        tally.live += written * count
        tally.bytes += written * len(plain)
    if others:
        tell_live(others, messages)
