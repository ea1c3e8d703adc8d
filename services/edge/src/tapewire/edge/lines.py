"""The lines of this edge: opens, consumes, reattaches and releases them.

Performs what trays decide. Whatever it waits for on the broker, it waits for in tasks that no
client's disconnect reaches.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from aiormq.abc import DeliveredMessage

from tapewire.broker import CONNECTION_ERRORS, BrokerError, Link, full_jitter
from tapewire.broker.topology import RECENT_KEPT, Queue
from tapewire.contracts.frames import CloseCode
from tapewire.edge.admin import Admin
from tapewire.edge.clock import Clock
from tapewire.edge.connection import Connection
from tapewire.edge.frames import Message
from tapewire.edge.lane import Lane, Lanes
from tapewire.edge.line import Line
from tapewire.edge.mailbox_state import JOINABLE, Event, State
from tapewire.edge.node import Node
from tapewire.edge.relay import Note, Relays
from tapewire.edge.tasks import Tasks
from tapewire.edge.tray import (
    HOLD_BACK_S,
    Copy,
    Effect,
    Kind,
    Parcel,
    RelayAcked,
    Send,
    Settle,
    TellAcked,
)
from tapewire.service import metrics

log = logging.getLogger(__name__)

# Open alerts that a user can have on the screen at once; the 257th is shown when one is acked.
INBOX_PREFETCH: Final = 256
# What a client may have unproved before it counts as slow: five full trays. With the window full
# the broker's copy would begin to drop its oldest, unseen.
RECENT_PREFETCH: Final = 512
GHOST_LEAVES_WITHIN_S: Final = 1.0  # a replaced connection's edge lets its tray go by then
GHOST_LOOK_EVERY_S: Final = 0.025


class Lines:
    """Every line of this edge, by queue name."""

    def __init__(
        self,
        *,
        consuming: Link,
        admin: Admin,
        node: Node,
        node_name: str,
        relays: Relays,
        tasks: Tasks,
        clock: Clock,
        on_ghost: Callable[[str, str], None],
        ack_deadline_s: float,
        requeue_after_s: float,
    ) -> None:
        self._admin = admin
        self._node = node
        self._node_name = node_name
        self._relays = relays
        self._tasks = tasks
        self._clock = clock
        self._on_ghost = on_ghost
        self._ack_deadline_s = ack_deadline_s
        self._requeue_after_s = requeue_after_s
        self._lines: dict[str, Line] = {}
        self._lanes = {
            Kind.INBOX: Lanes(consuming, INBOX_PREFETCH, tasks, self._on_lost, self._on_cancelled),
            Kind.RECENT: Lanes(consuming, RECENT_PREFETCH, tasks, self._on_lost, self._on_cancelled),
        }
        self.settled = metrics.histogram(metrics.SETTLE_LATENCY)
        self.resent = 0
        self.copies_in = 0

    def __iter__(self):
        """Iterate over the lines."""
        return iter(list(self._lines.values()))

    # Connections

    async def claim(
        self, connection: Connection, queue: Queue, kind: Kind, *, shared: bool
    ) -> Line:
        """Return the line of ``queue``, looked up and ready to be joined.

        The line stays for as long as ``connection`` does not ``give_up`` its claim.
        """
        while True:
            line = self._lines.get(queue.name)
            if line is None:
                lane = self._lanes[kind].of(queue.name)
                line = Line(connection.user, connection.word, queue, kind, lane, shared=shared)
                self._lines[queue.name] = line
                line.tray.ack_deadline_s = self._ack_deadline_s
                line.tray.requeue_after_s = self._requeue_after_s
                self._tasks.spawn(self._open(line, connection.client_id), "open line")
            elif line.tray.state not in JOINABLE:
                await line.released.wait()
                continue
            line.claims.add(connection)
            await line.ready.wait()
            return line

    def join(self, connection: Connection, line: Line) -> None:
        """Show a welcomed connection what is held, and deliver to it from now on."""
        self.perform(line, line.tray.join(connection, self._clock.now()))
        if line.tray.state is State.OPENING and line.attaching is None:
            self._attach(line, look=False)

    def give_up(self, connection: Connection, line: Line) -> None:
        """End a connection's claim; the last one's end releases the line."""
        line.claims.discard(connection)
        self.perform(line, line.tray.leave(connection))
        if not line.claims and line.tray.state in JOINABLE:
            line.tray.apply(Event.EMPTIED)
            self._tasks.spawn(self._release(line), "release line")

    def ack(self, connection: Connection, line: Line, ids: list[str]) -> None:
        """A client acknowledged messages of its inbox."""
        self.perform(line, line.tray.ack(ids, self._clock.now(), by=connection))

    def received(self, connection: Connection, line: Line, number: int) -> None:
        """A pong proved receipt of recent messages."""
        self.perform(line, line.tray.received(connection, number))

    # The broker

    async def _open(self, line: Line, client: str | None) -> None:
        """Look the queue up, declare it if absent, and ask the user's other edges."""
        waits = full_jitter(0.1, 2.0)
        async with line.lock:
            while line.claims:
                try:
                    found = await self._admin.open(line.queue)
                    tray = line.tray
                    asking = found.consumers > 0
                    if asking and line.shared:
                        tray.hold_back()
                    if asking or line.shared:
                        self._relays.opened(line.word, [line.name], client)
                    if asking and line.shared:
                        await self._hear(line)
                    elif asking:
                        found = await self._outwait(line) or found
                except (*CONNECTION_ERRORS, BrokerError) as error:
                    log.info("line not opened yet: %s", error)
                    await asyncio.sleep(next(waits))
                    continue
                line.waiting, line.was_absent = found.messages, found.was_absent
                if line.kind is Kind.RECENT and not asking:
                    tray.skip = max(0, found.messages - RECENT_KEPT)
                line.ready.set()
                return

    async def _hear(self, line: Line) -> None:
        """Give the holder 250 ms to answer; then relays are taken as they come."""
        try:
            async with asyncio.timeout(HOLD_BACK_S):
                await line.answered.wait()
        except TimeoutError:
            pass
        self.perform(line, line.tray.release(self._clock.now()))

    async def _outwait(self, line: Line):
        """Wait for the edge of the connection that this one replaces to let the tray go."""
        until = self._clock.now() + GHOST_LEAVES_WITHIN_S
        while self._clock.now() < until:
            await asyncio.sleep(GHOST_LOOK_EVERY_S)
            found = await self._admin.look(line.queue)
            if found is None or found.consumers == 0:
                return found
        return None

    def _attach(self, line: Line, *, look: bool) -> None:
        line.attaching = self._tasks.spawn(self._consume(line, look=look), "attach line")

    async def _consume(self, line: Line, *, look: bool) -> None:
        """Consume the queue; after a loss look first, since it may have been deleted meanwhile."""
        waits = full_jitter(0.1, 2.0)
        try:
            async with line.lock:
                while line.claims and line.tray.state is State.OPENING:
                    try:
                        if look:
                            await self._look_again(line)
                        await line.lane.consume(
                            line.name, line.new_consumer_tag(), partial(self._on_delivery, line)
                        )
                    except (*CONNECTION_ERRORS, BrokerError) as error:
                        log.info("line not attached yet: %s", error)
                        look = True
                        await asyncio.sleep(next(waits))
                        continue
                    if not line.consumer_tag:  # lost again in the meantime
                        look = True
                        continue
                    line.waiting = 0
                    line.tray.apply(Event.ATTACHED)
        finally:
            line.attaching = None

    async def _look_again(self, line: Line) -> None:
        found = await self._admin.open(line.queue)
        await self._node.up.wait()
        if line.shared:
            self._relays.opened(line.word, [line.name], None)
        if line.kind is Kind.RECENT and found.consumers == 0 and found.messages > RECENT_KEPT:
            # Something was dropped while the broker was out of reach: they come back, and are told.
            for member in list(line.tray.members):
                assert isinstance(member, Connection)
                member.close(CloseCode.DRAINING)

    async def _release(self, line: Line) -> None:
        """Cancel the consumer, then give everything back in the order in which it came."""
        async with line.lock:
            try:
                if line.consumer_tag:
                    await line.lane.cancel(line.consumer_tag)
            except CONNECTION_ERRORS as error:
                log.info("consumer not cancelled: %s", error)  # it went with its AMQP channel
            self.perform(line, line.tray.give_back())
            await line.lane.flushed()
            line.tray.apply(Event.RELEASED)
            del self._lines[line.name]
            line.released.set()
            line.ready.set()
            if line.shared:
                self._relays.closed(line.word, line.name)

    def _on_delivery(self, line: Line, message: DeliveredMessage) -> None:
        properties = message.header.properties
        parcel = Parcel(
            id=properties.message_id or f"tag-{message.delivery_tag}",
            message=Message(message.body),
            exchange=message.exchange or "",
            routing_key=message.routing_key or "",
            type=properties.message_type or "",
            redelivered=bool(message.redelivered),
        )
        tag = message.delivery_tag
        assert tag is not None
        self.perform(line, line.tray.deliver(parcel, tag, self._clock.now()))
        if line.kind is Kind.RECENT and len(line.tray) >= RECENT_PREFETCH:
            for member in line.tray.laggards():
                assert isinstance(member, Connection)
                member.close(CloseCode.SLOW_CONSUMER)

    def _on_lost(self, lane: Lane) -> None:
        for line in self:
            if line.lane is lane:
                self._detach(line)

    def _on_cancelled(self, tag: str) -> None:
        for line in self:
            if line.consumer_tag == tag:
                self._detach(line)

    def _detach(self, line: Line) -> None:
        if line.tray.state is State.CLOSED or not line.consumer_tag:
            return
        line.consumer_tag = ""
        line.tray.apply(Event.DETACHED)
        if line.tray.state is State.OPENING and line.attaching is None:
            self._attach(line, look=True)

    # Other edges

    def on_note(self, note: Note) -> None:
        """Another edge said something about a user."""
        if note.node == self._node_name or note.to not in ("", self._node_name):
            return
        now = self._clock.now()
        if note.word == "opened" and note.client:
            self._on_ghost(note.user, note.client)
        for name in note.trays:
            line = self._lines.get(name)
            if line is None or line.tray.state not in JOINABLE:
                continue
            tray = line.tray
            if note.word == "closed":
                tray.peers.discard(note.node)
                continue
            tray.peers.add(note.node)
            if note.word == "opened":
                self._answer(line, note.node)
            elif note.word == "acked":
                self.perform(line, tray.ack(note.ids, now))
            elif note.end and note.holder:
                tray.skip = 0
                self.perform(line, tray.answered(now))
                line.answered.set()
            elif note.parcel is not None:
                self.copies_in += 1
                tray.skip = 0  # another edge is the holder: what was to be skipped was its to skip
                taken = tray.answer if note.to else tray.copy
                self.perform(line, taken(note.parcel, now))

    def _answer(self, line: Line, node: str) -> None:
        holder = line.tray.is_holder
        if holder:
            for held in line.tray.held:
                self._relays.copy(line.word, line.name, held.parcel, to=node)
        self._relays.end(line.word, line.name, to=node, holder=holder)

    # Time

    def sweep(self) -> None:
        """Show again what is unacknowledged, give back what is held too long."""
        now = self._clock.now()
        for line in self:
            if len(line.tray):
                effects = line.tray.resend(now)
                self.resent += len(effects)
                self.perform(line, effects + line.tray.requeue(now))

    async def emptied(self) -> None:
        """Return once every line is released and what was settled is on its way."""
        for line in self:
            await line.released.wait()
        for lanes in self._lanes.values():
            await lanes.flushed()

    async def close(self) -> None:
        """Close the AMQP channels."""
        for lanes in self._lanes.values():
            await lanes.close()

    # Effects

    def perform(self, line: Line, effects: list[Effect]) -> None:
        """Carry out what a tray decided, in order."""
        for effect in effects:
            match effect:
                case Send(member, parcel, message, number):
                    member.deliver(line.kind, parcel, message, number)  # type: ignore[attr-defined]
                case Settle(tag, since, requeue):
                    line.lane.settle(tag, requeue=requeue)
                    if not requeue:
                        self.settled.record(self._clock.now() - since, {"class": line.kind.value})
                case Copy(parcel):
                    self._relays.copy(line.word, line.name, parcel)
                case TellAcked(member, ids):
                    member.tell_acked(ids)  # type: ignore[attr-defined]
                case RelayAcked(ids):
                    self._relays.acked(line.word, line.name, ids)


