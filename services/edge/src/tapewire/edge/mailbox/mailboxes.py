"""Mailboxes: what each user who is connected here has on this edge.

Opening one takes the edge's bindings, the lines of the connection's inbox and recent tray, and the
recorded channels of a named device; closing gives all of it back.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from tapewire.broker import full_jitter, topology
from tapewire.broker.topology import RECENT_KEPT, Binding, Queue, QueueType
from tapewire.contracts import escape
from tapewire.contracts.frames import CloseCode
from tapewire.edge.connection.channels import Plan, plan, user_channel
from tapewire.edge.connection.connection import Connection
from tapewire.edge.connection.effects import Kind
from tapewire.edge.connection.limits import Limits
from tapewire.edge.live.holdings import Holdings, without
from tapewire.edge.live.node import Node
from tapewire.edge.live.wishes import WAIT_S, Wishes
from tapewire.edge.mailbox import relay
from tapewire.edge.mailbox.faults import BROKER_FAULTS
from tapewire.edge.mailbox.line import Line
from tapewire.edge.mailbox.lines import Lines
from tapewire.edge.mailbox.overdue import Overdue
from tapewire.edge.mailbox.rebinding import Rebinding
from tapewire.edge.mailbox.state import State
from tapewire.edge.mailbox.subscriptions import Subscriptions
from tapewire.edge.runtime.admin import Admin, OutOfReach
from tapewire.edge.runtime.tasks import Tasks

log = logging.getLogger(__name__)


class Arrival(NamedTuple):
    """What waited for a connection, for its ``welcome``."""

    critical: int
    recent: int
    gap: bool


class TooManyConnections(RuntimeError):
    """The user has as many connections here as a user may have."""


@dataclass(slots=True)
class Seat:
    """What one connection has of its user's mailbox."""

    inbox: Line | None = None
    recent: Line | None = None
    overdue: Line | None = None
    """Its recent tray, while that is out of reach."""
    opening: bool = True
    bound: bool = False


class Mailboxes:
    """The mailboxes of this edge, by connection."""

    def __init__(
        self,
        *,
        lines: Lines,
        holdings: Holdings,
        node: Node,
        admins: Mapping[Kind, Admin],
        subscriptions: Subscriptions,
        wishes: Wishes,
        tasks: Tasks,
        limits: Limits,
        queue_type: QueueType,
    ) -> None:
        self._wishes = wishes
        self._lines = lines
        self._holdings = holdings
        self._node = node
        self._admins = admins
        self._subscriptions = subscriptions
        self._tasks = tasks
        self._limits = limits
        self._queue_type: QueueType = queue_type
        self._seats: dict[Connection, Seat] = {}
        self._users: dict[str, set[Connection]] = {}
        self._clients: dict[tuple[str, str], Connection] = {}
        self._rebinding = Rebinding(admins[Kind.RECENT], tasks, lambda: self._arriving > 0)
        self._arriving = 0
        """How many connections wait for their welcome."""
        self._overdue = Overdue(
            lines=lines,
            holdings=holdings,
            node=node,
            admin=admins[Kind.RECENT],
            subscriptions=subscriptions,
            plans=self._plans,
        )

    # Coming and going

    async def open(self, connection: Connection) -> Arrival:
        """Open (or find open) the mailbox; the connection joins it by ``join``.

        Run in a task that the client's disconnect does not reach.

        Raises:
            TooManyConnections: of this user.
        """
        if connection.client_id is not None:
            self.replaced(connection.word, escape(connection.client_id))
        users = self._users.setdefault(connection.word, set())
        # Those that closed while the broker kept them waiting do not count.
        if sum(not other.closed for other in users) >= self._limits.connections_per_user:
            raise TooManyConnections
        users.add(connection)
        seat = self._seats[connection] = Seat()
        if connection.client_id is not None:
            self._clients[connection.word, escape(connection.client_id)] = connection
        self._arriving += 1
        try:
            return await self._open(connection, seat)
        finally:
            self._arriving -= 1
            seat.opening = False
            if connection.closed:
                self._vacate(connection, seat)

    async def _open(self, connection: Connection, seat: Seat) -> Arrival:
        nothing = Arrival(0, 0, gap=False)
        try:
            recorded, is_known = await self._recorded(connection), True
        except OutOfReach:
            recorded, is_known = None, False
            self._holdings.set_trayless(connection, True)
        if connection.closed:
            return nothing
        names = [user_channel(connection.user)] if recorded is None else recorded
        self._holdings.hold(connection, self._plans(connection, names))
        seat.bound = True
        await self._node.bind(self._bindings(connection))
        if connection.closed:
            return nothing
        self._wishes.arrived(connection)
        wishes_by = asyncio.get_running_loop().time() + WAIT_S
        tray = self._tray(connection)
        if is_known:  # looked up while the inbox is
            self._lines.want(connection, tray, Kind.RECENT, shared=connection.client_id is None)
        inbox = await self._claim_inbox(connection, seat)
        recent = await self._claim_recent(connection, seat, tray) if is_known else None
        await self._wishes.known(connection, by=wishes_by)
        if connection.closed:
            return nothing
        if recent is None:
            return Arrival(_count(inbox), 0, gap=True)
        if connection.client_id is not None and recorded is None:
            await self._complete(connection, recent)
        gap = recent.waiting > RECENT_KEPT or (
            connection.resume and (recent.was_absent or (not inbox.shared and inbox.was_absent))
        )
        return Arrival(
            _count(inbox), min(_count(recent), RECENT_KEPT), gap=gap and _is_fresh(recent)
        )

    def join(self, connection: Connection) -> None:
        """Deliver to a connection that was welcomed: what is held first."""
        seat = self._seats[connection]
        connection.on_proof = self._on_proof
        for line in (seat.inbox, seat.recent):
            if line is not None:
                self._lines.join(connection, line)
        if seat.recent is None:
            self._tasks.spawn(self._await_tray(connection, seat), "await tray")

    def leave(self, connection: Connection) -> None:
        """A connection is closed. The last one of a tray releases it."""
        seat = self._seats.get(connection)
        if seat is not None and not seat.opening:  # else `open` notices, and gives back
            self._vacate(connection, seat)

    def replaced(self, user_word: str, client_word: str) -> None:
        """A named client connected again, here or elsewhere: its connection here is a ghost."""
        ghost = self._clients.get((user_word, client_word))
        if ghost is not None:
            ghost.close(CloseCode.REPLACED)

    def hang_up(self, user_word: str, connection_id: str) -> int:
        """Close a user's connections, or the one of that id, for an operator; return how many."""
        found = [
            connection
            for connection in self._users.get(user_word, ())
            if connection_id in ("", connection.id) and not connection.closed
        ]
        for connection in found:
            connection.close(CloseCode.DISCONNECTED_BY_OPERATOR)
        return len(found)

    # What clients say

    def ack(self, connection: Connection, ids: Iterable[str], up_to: str | None) -> None:
        """Settle what the client acknowledged, by ids or by all up to one. Idempotent."""
        seat = self._seats.get(connection)
        if seat is None or seat.inbox is None:
            return
        wanted = list(ids)
        if up_to is not None:
            wanted += seat.inbox.tray.up_to(up_to)
        self._lines.ack(connection, seat.inbox, wanted)

    def _on_proof(self, connection: Connection, number: int) -> None:
        seat = self._seats.get(connection)
        if seat is not None and seat.recent is not None:
            self._lines.received(connection, seat.recent, number)

    # What there is

    def has(self, connection: Connection) -> bool:
        """Return whether the connection has a place here."""
        return connection in self._seats

    def recent_of(self, connection: Connection) -> Line | None:
        """Return the line of a connection's recent tray."""
        seat = self._seats.get(connection)
        return None if seat is None else seat.recent

    @property
    def being_given_back(self) -> int:
        """How many trays the broker has not yet back from here."""
        return self._lines.releasing

    def states(self) -> dict[State, int]:
        """Return how many trays are in each state."""
        found = dict.fromkeys(State, 0)
        for line in self._lines:
            found[line.tray.state] += 1
        return found

    # Time

    def renew(self) -> None:
        """Use the records of named devices, which expire when nobody does (30 days)."""
        for connection in list(self._clients.values()):
            if connection.live and connection.client_id is not None:
                queue = topology.subscriptions(connection.user, connection.client_id)
                self._tasks.spawn(self._renew(queue), "renew subscriptions")

    # Steps

    async def _recorded(self, connection: Connection) -> list[str] | None:
        if connection.client_id is None:
            return None
        while not connection.closed:
            try:
                return await self._subscriptions.read(connection.user, connection.client_id)
            except (OutOfReach, TimeoutError) as error:
                if self._admins[Kind.RECENT].is_up:  # this queue's node is away, and not all of it
                    raise OutOfReach("subscriptions") from error
            except Exception as error:  # aiormq may raise a bare one when a connection goes
                log.info("subscriptions not read yet: %r", error)
            await asyncio.sleep(0.1)
        return None

    def _plans(self, connection: Connection, names: Iterable[str]) -> list[Plan]:
        assert connection.claims is not None
        some = list(names)[: self._limits.channels]
        found = (plan(name, connection.claims) for name in some)
        return [given for given in found if isinstance(given, Plan)]

    def _bindings(self, connection: Connection) -> list[Binding]:
        return [relay.binding(connection.word), *self._holdings.on_edge(connection)]

    async def _claim_inbox(self, connection: Connection, seat: Seat) -> Line:
        user, client = connection.user, connection.client_id
        admin = self._admins[Kind.INBOX]
        inbox = topology.inbox(user, queue_type=self._queue_type)
        shared = client is None or not connection.own_inbox
        if client is not None and not shared:
            # The user's own inbox first: with any inbox bound, the mailroom hears nothing.
            await self._patiently(connection, lambda: admin.open(inbox))
            # Bound in any case: an edge may have died between declaring and binding it, and what
            # the own inbox takes does not come to the mailroom, which would mend that.
            name, bindings = inbox.name, inbox.bindings
            await self._patiently(connection, lambda: admin.bind(name, bindings))
            inbox = topology.own_inbox(user, client, queue_type=self._queue_type)
        seat.inbox = await self._lines.claim(connection, inbox, Kind.INBOX, shared=shared)
        return seat.inbox

    def _tray(self, connection: Connection) -> Queue:
        queue = topology.recent(connection.user, connection.client_id)
        return replace(queue, bindings=tuple(self._holdings.for_tray(connection)))

    async def _claim_recent(self, connection: Connection, seat: Seat, queue: Queue) -> Line | None:
        """Claim the recent tray, unless it is out of reach."""
        client = connection.client_id
        line = await self._lines.claim(connection, queue, Kind.RECENT, shared=client is None)
        if not line.in_reach.is_set() and not connection.closed:
            seat.overdue = line
            await self._without_tray(connection)
            return None
        seat.recent = line
        if client is None and not line.was_absent:
            # Bound again each time: an edge may have died between declaring and binding it.
            self._rebinding.add(queue)
        return line

    async def _without_tray(self, connection: Connection) -> None:
        before = self._holdings.on_edge(connection)
        self._holdings.set_trayless(connection, True)
        await self._node.bind(without(self._holdings.on_edge(connection), before))

    async def _await_tray(self, connection: Connection, seat: Seat) -> None:
        if seat.overdue is None:
            await self._overdue.remember(connection)
            if connection.closed:
                return
            line = await self._lines.claim(
                connection, self._tray(connection), Kind.RECENT, shared=False
            )
            if self._seats.get(connection) is not seat:
                self._lines.give_up(connection, line)
                return
            seat.overdue = line
        if await self._overdue.attach(connection, seat.overdue):
            seat.recent, seat.overdue = seat.overdue, None

    async def _patiently(
        self, connection: Connection, work: Callable[[], Awaitable[object]]
    ) -> None:
        """Do ``work``, as often as the broker fails it, for as long as the connection waits."""
        waits = full_jitter(0.1, 2.0)
        while not connection.closed:
            try:
                await work()
                return
            except Exception as error:  # as above
                log.info("inbox not opened yet: %r", error)
                await asyncio.sleep(next(waits))

    async def _renew(self, queue: Queue) -> None:
        try:
            await self._admins[Kind.RECENT].look(queue)
        except BROKER_FAULTS as error:
            log.info("not renewed: %s", error)  # tried again tomorrow, of thirty days

    async def _complete(self, connection: Connection, recent: Line) -> None:
        """Record a device that is new, or whose record is missing; its tray is bound by then."""
        assert connection.client_id is not None
        try:
            if not recent.was_absent:
                await self._admins[Kind.RECENT].bind(recent.name, recent.queue.bindings)
            await self._subscriptions.write(
                connection.user, connection.client_id, list(connection.plans)
            )
        except BROKER_FAULTS as error:
            log.info("subscriptions not recorded: %s", error)  # done at its next connection

    def _vacate(self, connection: Connection, seat: Seat) -> None:
        if self._seats.pop(connection, None) is None:
            return
        for line in (seat.inbox, seat.recent, seat.overdue):
            if line is not None:
                self._lines.give_up(connection, line)
        if seat.recent is not None and not seat.recent.claims:
            self._rebinding.drop(seat.recent.name)
        if seat.bound:
            unbind = partial(self._node.unbind, self._bindings(connection))
            if seat.inbox is not None and seat.inbox.answers_to_the_end:
                seat.inbox.on_released.append(unbind)
            else:
                unbind()
        self._holdings.let_go(connection)
        self._wishes.left(connection)
        users = self._users[connection.word]
        users.discard(connection)
        if not users:
            del self._users[connection.word]
        if connection.client_id is not None:
            key = (connection.word, escape(connection.client_id))
            if self._clients.get(key) is connection:
                del self._clients[key]


def _count(line: Line) -> int:
    return (line.waiting if _is_fresh(line) else 0) + len(line.tray)


def _is_fresh(line: Line) -> bool:
    """Return whether what waited in its queue is still to be delivered."""
    return line.tray.state is State.OPENING
