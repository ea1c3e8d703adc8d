"""Consuming the queues of lines, and consuming them again after a loss."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from aiormq.abc import DeliveredMessage

from tapewire.broker import Link, full_jitter
from tapewire.broker.topology import INBOX_WINDOW, Queue
from tapewire.edge.connection.effects import Kind
from tapewire.edge.mailbox.faults import note
from tapewire.edge.mailbox.lane import Lane, Lanes
from tapewire.edge.mailbox.line import Line
from tapewire.edge.mailbox.lookup import Lookup
from tapewire.edge.mailbox.state import Event, State
from tapewire.edge.mailbox.succession import Succession
from tapewire.edge.runtime.tasks import Tasks

# Open alerts that a user can have on the screen at once; the 257th is shown when one is acked.
INBOX_PREFETCH: Final = INBOX_WINDOW
# What a client may have unproved before it counts as slow: five full trays. With the window full
# the broker's copy would begin to drop its oldest, unseen.
RECENT_PREFETCH: Final = 512

# RabbitMQ 3.10 loses what it confirms to a quorum queue that is declared again right after it was
# deleted under a consumer; 0.3 s later it does not (measured). Meanwhile the mailroom takes it.
DELETED_RESTS_S: Final = 1.0


class Attaching:
    """Attaches lines to their queues on a few shared AMQP channels, for as long as they are open.

    Args:
        link: a connection of role ``consume``.
        lines: of this edge.
        deliver: takes what the broker delivers.
    """

    def __init__(
        self,
        link: Link,
        lines: Iterable[Line],
        lookup: Lookup,
        succession: Succession,
        tasks: Tasks,
        deliver: Callable[[Line, DeliveredMessage], None],
    ) -> None:
        self._lines = lines
        self._lookup = lookup
        self._succession = succession
        self._tasks = tasks
        self._deliver = deliver
        self._lanes = {
            Kind.INBOX: Lanes(link, INBOX_PREFETCH, self._on_lost, self._on_cancelled),
            Kind.RECENT: Lanes(link, RECENT_PREFETCH, self._on_lost, self._on_cancelled),
        }

    def lane_of(self, queue: Queue, kind: Kind) -> Lane:
        """Return the AMQP channel that a queue is consumed on."""
        return self._lanes[kind].of(queue.name)

    def attach(self, line: Line, *, look: bool = False, rest_s: float = 0.0) -> None:
        """Have a line consumed; with ``look`` only after a look at its queue, which may be gone."""
        work = self._attach(line, look=look, rest_s=rest_s)
        line.attaching = self._tasks.spawn(work, "attach line")

    def flush(self) -> None:
        """Hand every settlement to the connection."""
        for lanes in self._lanes.values():
            lanes.flush()

    async def close(self) -> None:
        """Close the AMQP channels."""
        for lanes in self._lanes.values():
            await lanes.close()

    async def _attach(self, line: Line, *, look: bool, rest_s: float) -> None:
        waits = full_jitter(0.1, 2.0)
        try:
            if rest_s:
                await asyncio.sleep(rest_s)
            async with line.lock:
                while line.claims and line.tray.state is State.OPENING:
                    try:
                        await self._consume(line, look=look)
                    except Exception as error:
                        note("line not attached yet", error)
                        await asyncio.sleep(next(waits))
                    look = True  # if it is not attached now
        finally:
            line.attaching = None

    async def _consume(self, line: Line, *, look: bool) -> None:
        if look:
            found = await self._lookup.find_again(line)
            line.tray.predecessor.suppose(found.consumers)
        elif line.asked and not line.answered.is_set():
            await self._succession.outwait(line)
        await line.lane.consume(line.name, line.new_consumer_tag(), partial(self._deliver, line))
        if line.consumer_tag:  # else it was lost again in the meantime
            line.waiting = 0
            line.tray.apply(Event.ATTACHED)

    def _on_lost(self, lane: Lane) -> None:
        for line in self._lines:
            if line.lane is lane:
                self._detach(line)

    def _on_cancelled(self, tag: str) -> None:
        for line in self._lines:
            if line.consumer_tag == tag:
                self._detach(line, rest_s=DELETED_RESTS_S + next(full_jitter(1.0, 1.0)))

    def _detach(self, line: Line, *, rest_s: float = 0.0) -> None:
        if line.tray.state is State.CLOSED or not line.consumer_tag:
            return
        line.consumer_tag = ""
        line.tray.apply(Event.DETACHED)
        if line.tray.state is State.OPENING and line.attaching is None:
            self.attach(line, look=True, rest_s=rest_s)
