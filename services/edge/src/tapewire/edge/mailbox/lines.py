"""The lines of this edge: opens, consumes, reattaches and releases them.

Performs what trays decide. Whatever it waits for on the broker, it waits for in tasks that no
client's disconnect reaches.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import Final

from aiormq.abc import DeliveredMessage
from opentelemetry.trace import SpanKind
from pydantic_core import from_json

from tapewire.broker import CONNECTION_ERRORS, BrokerError, Link, full_jitter
from tapewire.broker.figures import REDELIVERED
from tapewire.broker.topology import INBOX_WINDOW, RECENT_KEPT, Queue
from tapewire.contracts import new_id
from tapewire.contracts.frames import CloseCode
from tapewire.edge.connection.connection import Connection
from tapewire.edge.connection.effects import (
    Ask,
    Copy,
    Effect,
    Kind,
    Member,
    Parcel,
    RelayAcked,
    Send,
    Settle,
    Succeed,
    TellAcked,
)
from tapewire.edge.live.node import Node
from tapewire.edge.mailbox.handover import Handover
from tapewire.edge.mailbox.lane import Lane, Lanes
from tapewire.edge.mailbox.letters import Letters
from tapewire.edge.mailbox.line import Line
from tapewire.edge.mailbox.newcomers import Newcomers
from tapewire.edge.mailbox.presence import Presence
from tapewire.edge.mailbox.relay import Relays
from tapewire.edge.mailbox.state import JOINABLE, Event, State
from tapewire.edge.mailbox.succession import Succession
from tapewire.edge.mailbox.tray import HOLD_BACK_S
from tapewire.edge.runtime.admin import Admin, Found, OutOfReach
from tapewire.edge.runtime.clock import Clock
from tapewire.edge.runtime.tasks import Tasks
from tapewire.edge.transport.frames import Message
from tapewire.service import metrics, telemetry

log = logging.getLogger(__name__)

# Open alerts that a user can have on the screen at once; the 257th is shown when one is acked.
INBOX_PREFETCH: Final = INBOX_WINDOW
# What a client may have unproved before it counts as slow: five full trays. With the window full
# the broker's copy would begin to drop its oldest, unseen.
RECENT_PREFETCH: Final = 512

# RabbitMQ 3.10 loses what it confirms to a quorum queue that is declared again right after it was
# deleted under a consumer; 0.3 s later it does not (measured). Meanwhile the mailroom takes it.
DELETED_RESTS_S: Final = 1.0

EXPECTED: Final = (*CONNECTION_ERRORS, BrokerError)

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
        tasks: Tasks,
        clock: Clock,
        on_ghost: Callable[[str, str], None],
        on_hang_up: Callable[[str, str], object],
        ack_deadline_s: float,
        requeue_after_s: float,
    ) -> None:
        self._admins = admins
        self._relays = relays
        self._tasks = tasks
        self._clock = clock
        self._ack_deadline_s = ack_deadline_s
        self._requeue_after_s = requeue_after_s
        self._lines: dict[str, Line] = {}
        self._lanes = {
            Kind.INBOX: Lanes(consuming, INBOX_PREFETCH, self._on_lost, self._on_cancelled),
            Kind.RECENT: Lanes(consuming, RECENT_PREFETCH, self._on_lost, self._on_cancelled),
        }
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
        presence = Presence(admins[Kind.RECENT], tasks)
        self._succession = Succession(admins, presence, self.letters.queues, clock)
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
            lane = self._lanes[kind].of(queue.name)
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
            self._attach(line, look=False)

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
                    found = await self._find(line)
                    asking = found.consumers > 0
                    line.expected, line.asked = found.consumers, asking and line.shared
                    if asking or line.shared:
                        self.letters.announce(line, client)
                    if asking and line.shared:
                        await self._hear(line)
                        found = await self._find(line)
                    elif asking:
                        found = await self._succession.outwait(line) or found
                except Exception as error:
                    _note("line not opened yet", error)
                    await asyncio.sleep(next(waits))
                    continue
                line.waiting, line.was_absent = found.messages, found.was_absent
                if line.kind is Kind.RECENT and found.consumers == 0:
                    line.tray.skip = max(0, found.messages - RECENT_KEPT)
                line.ready.set()
                line.tried.set()
                return

    async def _find(self, line: Line) -> Found:
        """Return what is in a line's queue, declared if absent; notice whether it is in reach."""
        admin = self._admins[line.kind]
        try:
            if line.kind is Kind.INBOX and line.shared:
                found = await self._newcomers.open(line.queue)
            else:
                found = await admin.open(line.queue)
        except (OutOfReach, TimeoutError):
            if admin.is_up:  # else everything is away, and whoever is connected waits
                self._out_of_reach(line)
            raise
        line.in_reach.set()
        return found

    def _out_of_reach(self, line: Line) -> None:
        line.in_reach.clear()
        line.tried.set()
        if line.kind is Kind.RECENT:
            # Welcomed anew they are told of the gap, and hear what comes without the tray.
            for member in list(line.tray.members):
                _connection(member).close(CloseCode.DRAINING)

    async def _hear(self, line: Line) -> None:
        """Give the holder 250 ms to answer, so that ``welcome`` counts what it holds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HOLD_BACK_S):
                await line.answered.wait()

    def _attach(self, line: Line, *, look: bool, rest_s: float = 0.0) -> None:
        work = self._consume(line, look=look, rest_s=rest_s)
        line.attaching = self._tasks.spawn(work, "attach line")

    async def _consume(self, line: Line, *, look: bool, rest_s: float) -> None:
        """Consume the queue; after a loss look first, since it may have been deleted meanwhile."""
        waits = full_jitter(0.1, 2.0)
        try:
            if rest_s:
                await asyncio.sleep(rest_s)
            async with line.lock:
                while line.claims and line.tray.state is State.OPENING:
                    try:
                        if look:
                            await self._look_again(line)
                        elif line.asked and not line.answered.is_set():
                            await self._succession.outwait(line)
                        await line.lane.consume(
                            line.name, line.new_consumer_tag(), partial(self._on_delivery, line)
                        )
                    except Exception as error:
                        _note("line not attached yet", error)
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
        found = await self._find(line)
        line.tray.predecessor.suppose(found.consumers)
        if line.kind is Kind.RECENT and found.consumers == 0 and found.messages > RECENT_KEPT:
            # Something was dropped while the broker was out of reach: they come back, and are told.
            for member in list(line.tray.members):
                _connection(member).close(CloseCode.DRAINING)

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
            if line.succeeding is not None:
                # What was kept would be back before what its last holder has to give back yet.
                await asyncio.wait([line.succeeding])
            try:
                await self._handover.give_back(line)
            except Exception as error:  # the user must be able to come back all the same
                _note("line not given back in order", error)
                await line.lane.reset()
            line.tray.apply(Event.RELEASED)
            del self._lines[line.name]
            for event in (line.released, line.ready, line.tried, line.in_reach):
                event.set()  # nobody waits for anything of it any more
            self.releasing -= 1
            self.letters.closed(line)

    def _on_delivery(self, line: Line, message: DeliveredMessage) -> None:
        properties = message.header.properties
        headers = properties.headers or {}
        parcel = Parcel(
            id=properties.message_id or _id_in(message.body),
            message=Message(message.body),
            exchange=message.exchange or "",
            routing_key=message.routing_key or "",
            type=properties.message_type or "",
            redelivered=bool(message.redelivered),
            trace=str(headers.get("traceparent") or "") if line.kind is Kind.INBOX else "",
        )
        if message.redelivered:
            REDELIVERED.add(1, {"queue": _FAMILY[line.kind]})
        tag = message.delivery_tag
        assert tag is not None
        with _traced("deliver", parcel.trace):
            self.perform(line, line.tray.deliver(parcel, tag, self._clock.now()))

    def _on_lost(self, lane: Lane) -> None:
        for line in self:
            if line.lane is lane:
                self._detach(line)

    def _on_cancelled(self, tag: str) -> None:
        for line in self:
            if line.consumer_tag == tag:
                self._detach(line, rest_s=DELETED_RESTS_S + next(full_jitter(1.0, 1.0)))

    def _detach(self, line: Line, *, rest_s: float = 0.0) -> None:
        if line.tray.state is State.CLOSED or not line.consumer_tag:
            return
        line.consumer_tag = ""
        line.tray.apply(Event.DETACHED)
        if line.tray.state is State.OPENING and line.attaching is None:
            self._attach(line, look=True, rest_s=rest_s)

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
        for lanes in self._lanes.values():
            lanes.flush()

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
                    _connection(member).deliver(line.kind, parcel, message, number)
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
                    _connection(member).tell_acked(ids)
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
            _connection(laggard).close(CloseCode.SLOW_CONSUMER)

    def _settle(self, line: Line, settle: Settle) -> None:
        line.lane.settle(settle.tag, requeue=settle.requeue)
        if not settle.requeue:
            with _traced("settle", settle.trace):
                self._settled.record(self._clock.now() - settle.since, {"class": line.kind.value})


def _connection(member: Member) -> Connection:
    assert isinstance(member, Connection)  # trays know members by identity only
    return member


def _note(what: str, error: Exception) -> None:
    """Log why something will be tried again; what should not happen, with its traceback."""
    if isinstance(error, EXPECTED):
        log.info("%s: %s", what, error or type(error).__name__)
    else:
        log.error("%s", what, exc_info=error)


def _id_in(body: bytes) -> str:
    """Return the id of a message whose publisher left the AMQP property out."""
    try:
        value = from_json(body)
        return str(value["id"])
    except (ValueError, KeyError, TypeError):
        return new_id()


def _traced(name: str, trace: str) -> AbstractContextManager[object]:
    """Return a span of the producer's trace, or nothing where there is no trace."""
    if not trace:
        return nullcontext()
    return telemetry.span(f"edge {name}", headers={"traceparent": trace}, kind=SpanKind.CONSUMER)
