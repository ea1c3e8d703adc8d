"""The lines of this edge: opens them, hands them what comes, and releases them.

Performs what trays decide. Whatever it waits for on the broker, it waits for in tasks that no
client's disconnect reaches.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Final

from aiormq.abc import DeliveredMessage
from opentelemetry.trace import SpanKind

from tapewire.broker import Link, full_jitter
from tapewire.broker.figures import REDELIVERED
from tapewire.broker.topology import RECENT_KEPT, Queue
from tapewire.contracts.frames import CloseCode
from tapewire.edge.connection.connection import Connection
from tapewire.edge.connection.effects import (
    Ask,
    Copy,
    Effect,
    Kind,
    RelayAcked,
    Send,
    Settle,
    Succeed,
    TellAcked,
)
from tapewire.edge.live.node import Node
from tapewire.edge.mailbox.attaching import RECENT_PREFETCH, Attaching
from tapewire.edge.mailbox.faults import note
from tapewire.edge.mailbox.handover import Handover
from tapewire.edge.mailbox.letters import Letters
from tapewire.edge.mailbox.line import Line, connection_of
from tapewire.edge.mailbox.lookup import Lookup
from tapewire.edge.mailbox.newcomers import Newcomers
from tapewire.edge.mailbox.parcels import parcel_of
from tapewire.edge.mailbox.presence import Presence
from tapewire.edge.mailbox.receipts import Receipts
from tapewire.edge.mailbox.relay import Relays
from tapewire.edge.mailbox.state import JOINABLE, Event, State
from tapewire.edge.mailbox.succession import Succession
from tapewire.edge.mailbox.tray import HOLD_BACK_S
from tapewire.edge.runtime.admin import Admin
from tapewire.edge.runtime.clock import Clock
from tapewire.edge.runtime.tasks import Tasks
from tapewire.service import metrics, telemetry

log = logging.getLogger(__name__)

_FAMILY: Final = {Kind.INBOX: "inbox", Kind.RECENT: "recent"}  # a user's id is no attribute


class Lines:
    """Every line of this edge, by queue name."""

    def __init__(
        self,
        *,
        consuming: Link,
        admins: Mapping[Kind, Admin],
        node: Node,
        node_name: str,
        relays: Relays,
        receipts: Receipts,
        tasks: Tasks,
        clock: Clock,
        on_ghost: Callable[[str, str], None],
        on_hang_up: Callable[[str, str], object],
        ack_deadline_s: float,
        requeue_after_s: float,
    ) -> None:
        self._admins = admins
        self._relays = relays
        self._receipts = receipts
        self._tasks = tasks
        self._clock = clock
        self._ack_deadline_s = ack_deadline_s
        self._requeue_after_s = requeue_after_s
        self._lines: dict[str, Line] = {}
        self._settled = metrics.histogram(metrics.SETTLE_LATENCY)
        self.resent = 0
        self.releasing = 0
        self.letters = Letters(
            relays,
            node_name,
            clock,
            find=self._lines.get,
            perform=self.perform,
            on_ghost=on_ghost,
            on_hang_up=on_hang_up,
        )
        self._handover = Handover(admins, clock)
        self._newcomers = Newcomers(admins[Kind.INBOX], clock, tasks)
        self._lookup = Lookup(admins, self._newcomers)
        presence = Presence(admins[Kind.RECENT], tasks)
        self._succession = Succession(admins, presence, self.letters.queues, clock)
        self._attaching = Attaching(
            consuming, self, self._lookup, self._succession, tasks, self._deliver
        )
        relays.queue = lambda: node.queue
        node.on_up.append(self._announce)
        relays.on_back = self._mark

    def __iter__(self) -> Iterator[Line]:
        """Iterate over the lines."""
        return iter(list(self._lines.values()))

    # Connections

    async def claim(
        self, connection: Connection, queue: Queue, kind: Kind, *, shared: bool
    ) -> Line:
        """Return the line of ``queue``, looked up and ready to be joined.

        An inbox is waited for. A recent tray whose node is down is returned as it is: not
        ``in_reach``, and not to be joined before it is.

        The line stays for as long as ``connection`` does not ``give_up`` its claim.
        """
        while (line := self.want(connection, queue, kind, shared=shared)) is None:
            await self._lines[queue.name].released.wait()
        await (line.ready if kind is Kind.INBOX else line.tried).wait()
        return line

    def want(
        self, connection: Connection, queue: Queue, kind: Kind, *, shared: bool
    ) -> Line | None:
        """Begin to ``claim`` a line, which must follow; None while it is being released."""
        line = self._lines.get(queue.name)
        if line is None:
            lane = self._attaching.lane_of(queue, kind)
            line = Line(connection.user, connection.word, queue, kind, lane, shared=shared)
            self._lines[queue.name] = line
            line.tray.ack_deadline_s = self._ack_deadline_s
            line.tray.requeue_after_s = self._requeue_after_s
            self._tasks.spawn(self._open(line, connection.client_id), "open line")
        elif line.tray.state not in JOINABLE:
            return None
        line.claims.add(connection)
        return line

    def join(self, connection: Connection, line: Line) -> None:
        """Show a welcomed connection what is held, and deliver to it from now on."""
        self.perform(line, line.tray.join(connection, self._clock.now()))
        if line.tray.state is State.OPENING and line.attaching is None:
            self._attaching.attach(line)

    def give_up(self, connection: Connection, line: Line) -> None:
        """End a connection's claim; the last one's end releases the line."""
        line.claims.discard(connection)
        self.perform(line, line.tray.leave(connection))
        if not line.claims and line.tray.state in JOINABLE:
            line.tray.apply(Event.EMPTIED)
            self.releasing += 1
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
                    found = await self._lookup.find(line)
                    asking = found.consumers > 0
                    line.expected, line.asked = found.consumers, asking and line.shared
                    if asking or line.has_heirs:
                        self.letters.announce(line, client)
                    if asking and line.shared:
                        await self._hear(line)
                        found = await self._lookup.find(line)
                    elif asking:
                        found = await self._succession.outwait(line) or found
                except Exception as error:
                    note("line not opened yet", error)
                    await asyncio.sleep(next(waits))
                    continue
                line.waiting, line.was_absent = found.messages, found.was_absent
                if line.kind is Kind.RECENT and found.consumers == 0:
                    line.tray.skip = max(0, found.messages - RECENT_KEPT)
                line.ready.set()
                line.tried.set()
                return

    async def _hear(self, line: Line) -> None:
        """Give the holder 250 ms to answer, so that ``welcome`` counts what it holds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HOLD_BACK_S):
                await line.answered.wait()

    def _announce(self) -> None:
        """The edge's queue is back: relays were missed, and others may think that we are gone."""
        for line in self:
            if line.shared and line.tray.state in JOINABLE and line.ready.is_set():
                self.letters.announce(line)

    def _mark(self) -> None:
        """Relays pass again: what was relayed last may be lost, and nothing newer tells of it."""
        for line in self:
            if line.tray.is_holder:
                self.letters.mark(line)

    async def _release(self, line: Line) -> None:
        async with line.lock:
            self.letters.closing(line)
            try:
                await self._outlast(line)
                await self._handover.give_back(line)
            except Exception as error:  # the user must be able to come back all the same
                note("line not given back in order", error)
                await line.lane.reset()
            line.tray.apply(Event.RELEASED)
            del self._lines[line.name]
            for event in (line.released, line.ready, line.tried, line.in_reach):
                event.set()  # nobody waits for anything of it any more
            self.releasing -= 1
            self.letters.closed(line)
            for call in line.on_released:
                call()

    async def _outlast(self, line: Line) -> None:
        """Wait for the end of the last holder: what it has to give back yet is older than ours."""
        if line.is_quorum and line.consumer_tag and line.tray.predecessor.begin():
            await self._succeed(line)  # something may be on its way here, though nothing came yet
        elif line.succeeding is not None:
            await asyncio.wait([line.succeeding])

    def _deliver(self, line: Line, message: DeliveredMessage) -> None:
        parcel = parcel_of(message, line.kind)
        if parcel.redelivered:
            REDELIVERED.add(1, {"queue": _FAMILY[line.kind]})
        tag = message.delivery_tag
        assert tag is not None
        with _traced("deliver", parcel.trace):
            self.perform(line, line.tray.deliver(parcel, tag, self._clock.now()))

    # Time

    def sweep(self) -> None:
        """Show again what is unacknowledged, give back what is held too long."""
        now = self._clock.now()
        for line in self:
            if len(line.tray):
                effects = line.tray.resend(now)
                self.resent += sum(isinstance(effect, Send) for effect in effects)
                self.perform(line, effects + line.tray.requeue(now))

    async def emptied(self) -> None:
        """Return once every line is released and what was settled is on its way."""
        for line in self:
            await line.released.wait()
        self._attaching.flush()

    async def close(self) -> None:
        """Close the AMQP channels."""
        await self._attaching.close()

    # Effects

    def perform(self, line: Line, effects: list[Effect]) -> None:
        """Carry out what a tray decided, in order."""
        for effect in effects:
            match effect:
                case Send(member, parcel, message, number):
                    connection_of(member).deliver(line.kind, parcel, message, number)
                case Settle():
                    self._settle(line, effect)
                case Copy(parcel, repeat, number):
                    at = (line.epoch, number)
                    self._relays.copy(line.word, line.name, parcel, at=at, again=repeat)
                case Ask():
                    self.letters.ask(line)
                case Succeed():
                    line.succeeding = self._tasks.spawn(self._succeed(line), "succeed a holder")
                case TellAcked(member, ids):
                    connection_of(member).tell_acked(ids)
                case RelayAcked(ids):
                    self._relays.acked(line.word, line.name, ids)
        if line.kind is Kind.RECENT and len(line.tray) >= RECENT_PREFETCH:
            self._close_laggards(line)

    async def _succeed(self, line: Line) -> None:
        """Go on as the holder when the last one says that it has closed, or is gone."""
        if await self._succession.ended(line):
            self.perform(line, line.tray.succeed(self._clock.now()))

    def _close_laggards(self, line: Line) -> None:
        for laggard in line.tray.laggards():
            connection_of(laggard).close(CloseCode.SLOW_CONSUMER)

    def _settle(self, line: Line, settle: Settle) -> None:
        line.lane.settle(settle.tag, requeue=settle.requeue)
        if not settle.requeue:
            with _traced("settle", settle.trace):
                self._settled.record(self._clock.now() - settle.since, {"class": line.kind.value})
        if settle.acked is not None and line.shared:  # a program's own inbox speaks for no person
            self._receipts.acked(settle.acked)


def _traced(name: str, trace: str) -> AbstractContextManager[object]:
    """Return a span of the producer's trace, or nothing where there is no trace."""
    if not trace:
        return nullcontext()
    return telemetry.span(f"edge {name}", headers={"traceparent": trace}, kind=SpanKind.CONSUMER)
