"""Mailboxes: what each user who is connected here has on this edge.

Opening one takes the edge's bindings, the lines of the connection's inbox and recent tray, and the
recorded channels of a named device; closing gives all of it back.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from tapewire.auth import Claims
from tapewire.broker import CONNECTION_ERRORS, BrokerError, topology
from tapewire.broker.topology import RECENT_KEPT, Binding, QueueType
from tapewire.contracts import escape
from tapewire.contracts.frames import CloseCode
from tapewire.edge import relay
from tapewire.edge.admin import Admin
from tapewire.edge.audience import Audience
from tapewire.edge.channels import Plan, Refused, plan, user_channel
from tapewire.edge.connection import Connection
from tapewire.edge.limits import Limits
from tapewire.edge.line import Line
from tapewire.edge.lines import Lines
from tapewire.edge.mailbox_state import State
from tapewire.edge.node import Node
from tapewire.edge.subscriptions import Subscriptions
from tapewire.edge.tasks import Tasks
from tapewire.edge.tray import Kind

log = logging.getLogger(__name__)

BROKER_FAULTS: Final = (*CONNECTION_ERRORS, BrokerError)


class Arrival(NamedTuple):
    """What waited for a connection, for its ``welcome``."""

    critical: int
    recent: int
    gap: bool


class TooManyConnections(RuntimeError):
    """The user has as many connections here as a user may have."""


class Granted(NamedTuple):
    """The answer to a subscription."""

    channels: list[str]
    rejected: list[tuple[str, str]]
    new: list[Plan]


@dataclass(slots=True)
class Seat:
    """What one connection has of its user's mailbox."""

    inbox: Line | None = None
    recent: Line | None = None
    opening: bool = True
    bound: bool = False


class Mailboxes:
    """The mailboxes of this edge, by connection.

    Args:
        live: subscribers of live topics.
        passing: nameless connections by what they have no tray for.
    """

    def __init__(
        self,
        *,
        lines: Lines,
        node: Node,
        admin: Admin,
        subscriptions: Subscriptions,
        tasks: Tasks,
        live: Audience,
        passing: Audience,
        limits: Limits,
        queue_type: QueueType,
    ) -> None:
        self._lines = lines
        self._node = node
        self._admin = admin
        self._subscriptions = subscriptions
        self._tasks = tasks
        self._live = live
        self._passing = passing
        self._limits = limits
        self._queue_type: QueueType = queue_type
        self._seats: dict[Connection, Seat] = {}
        self._users: dict[str, set[Connection]] = {}
        self._clients: dict[tuple[str, str], Connection] = {}

    # Coming and going

    async def open(self, connection: Connection) -> Arrival:
        """Open (or find open) the mailbox; the connection joins it by ``join``.

        Run in a task that the client's disconnect does not reach.

        Raises:
            TooManyConnections: of this user.
        """
        users = self._users.setdefault(connection.word, set())
        self._replace_ghost(connection)
        if len(users) >= self._limits.connections_per_user:
            raise TooManyConnections
        users.add(connection)
        seat = self._seats[connection] = Seat()
        if connection.client_id is not None:
            self._clients[connection.word, escape(connection.client_id)] = connection
        try:
            recorded = await self._recorded(connection)
            if connection.closed:
                return Arrival(0, 0, gap=False)
            self._hold(connection, self._plans(connection, recorded))
            seat.bound = True
            await self._node.bind([relay.binding(connection.word), *self._edge_bindings(connection)])
            if connection.closed:
                return Arrival(0, 0, gap=False)
            await self._claim(connection, seat)
            if connection.closed:
                return Arrival(0, 0, gap=False)
            if connection.client_id is not None and recorded is None:
                await self._complete(connection, seat)
            return self._arrival(connection, seat)
        finally:
            seat.opening = False
            if connection.closed:
                self._vacate(connection, seat)

    def join(self, connection: Connection) -> None:
        """Deliver to a connection that was welcomed: what is held first."""
        seat = self._seats[connection]
        connection.on_proof = self._on_proof
        for line in (seat.inbox, seat.recent):
            if line is not None:
                self._lines.join(connection, line)

    def leave(self, connection: Connection) -> None:
        """A connection is closed. The last one of a tray releases it."""
        seat = self._seats.get(connection)
        if seat is not None and not seat.opening:
            self._vacate(connection, seat)

    def replaced(self, user_word: str, client_word: str) -> None:
        """A named client connected to another edge: its connection here is a ghost."""
        ghost = self._clients.get((user_word, client_word))
        if ghost is not None:
            ghost.close(CloseCode.REPLACED)

    # What clients say

    def ack(self, connection: Connection, ids: Iterable[str], up_to: str | None) -> None:
        """Settle what the client acknowledged, by ids or by all up to one. Idempotent."""
        line = self._seats[connection].inbox
        if line is None:
            return
        wanted = list(ids)
        if up_to is not None:
            wanted += line.tray.up_to(up_to)
        self._lines.ack(connection, line, wanted)

    async def subscribe(self, connection: Connection, names: Iterable[str]) -> Granted:
        """Give channels. Harmless for those that the connection has."""
        assert connection.claims is not None
        channels: list[str] = []
        rejected: list[tuple[str, str]] = []
        new: list[Plan] = []
        for name in dict.fromkeys(names):
            if name in connection.plans:
                channels.append(name)
                continue
            match plan(name, connection.claims):
                case Refused(code):
                    rejected.append((name, code))
                case Plan() if len(connection.plans) + len(new) >= self._limits.channels:
                    rejected.append((name, "too_many_channels"))
                case Plan() as given:
                    new.append(given)
        if new and not (connection in self._seats and await self._add(connection, new)):
            rejected += [(given.name, "unavailable") for given in new]
            new = []
        return Granted(channels + [given.name for given in new], rejected, new)

    async def unsubscribe(self, connection: Connection, names: Iterable[str]) -> list[str]:
        """Take channels back; return those that the connection does not have any more."""
        gone = [connection.plans[n] for n in dict.fromkeys(names) if n in connection.plans]
        kept = [p for p in connection.plans.values() if p not in gone]
        if gone and connection in self._seats:
            edge_before = self._edge_bindings(connection)
            tray_before = self._tray_bindings(connection)
            self._hold(connection, kept)
            still = self._edge_bindings(connection)
            self._node.unbind(_without(edge_before, still))
            await self._shrink_tray(connection, tray_before)
        return [p.name for p in gone]

    async def restrict(self, connection: Connection, claims: Claims) -> list[str]:
        """Take on newer claims; return the channels that they do not give any more."""
        connection.claims = claims
        lost = [n for n in connection.plans if isinstance(plan(n, claims), Refused)]
        return await self.unsubscribe(connection, lost) if lost else []

    # Figures

    @property
    def connections(self) -> list[Connection]:
        """Every connection that has, or is getting, a mailbox."""
        return list(self._seats)

    def states(self) -> dict[State, int]:
        """Return how many trays are in each state."""
        found = dict.fromkeys(State, 0)
        for line in self._lines:
            found[line.tray.state] += 1
        return found

    # Steps

    def _replace_ghost(self, connection: Connection) -> None:
        if connection.client_id is not None:
            self.replaced(connection.word, escape(connection.client_id))

    async def _recorded(self, connection: Connection) -> list[str] | None:
        if connection.client_id is None:
            return None
        while True:
            try:
                return await self._subscriptions.read(connection.user, connection.client_id)
            except BROKER_FAULTS as error:
                log.info("subscriptions not read yet: %s", error)
                if connection.closed:
                    return None
                await asyncio.sleep(0.1)

    def _plans(self, connection: Connection, recorded: list[str] | None) -> list[Plan]:
        assert connection.claims is not None
        names = [user_channel(connection.user)] if recorded is None else recorded
        found = (plan(name, connection.claims) for name in names[: self._limits.channels])
        return [given for given in found if isinstance(given, Plan)]

    async def _claim(self, connection: Connection, seat: Seat) -> None:
        user, client = connection.user, connection.client_id
        inbox = topology.inbox(user, queue_type=self._queue_type)
        if connection.own_inbox and client is not None:
            # The user's own inbox first: with any inbox bound, the mailroom hears nothing.
            await self._admin.open(inbox)
            inbox = topology.own_inbox(user, client, queue_type=self._queue_type)
        recent = replace(
            topology.recent(user, client), bindings=tuple(self._tray_bindings(connection))
        )
        seat.inbox, seat.recent = await asyncio.gather(
            self._lines.claim(
                connection, inbox, Kind.INBOX, shared=not (connection.own_inbox and client)
            ),
            self._lines.claim(connection, recent, Kind.RECENT, shared=client is None),
        )
        if client is None and not seat.recent.was_absent:
            # Bound again each time: an edge may have died between declaring and binding it.
            self._tasks.spawn(self._rebind(recent.name, recent.bindings), "rebind")

    async def _rebind(self, name: str, bindings: tuple[Binding, ...]) -> None:
        try:
            await self._admin.bind(name, bindings)
        except BROKER_FAULTS as error:
            log.info("not bound again: %s", error)

    async def _complete(self, connection: Connection, seat: Seat) -> None:
        """Record a device that is new, or whose record is missing; its tray is bound by then."""
        assert connection.client_id is not None and seat.recent is not None
        try:
            if not seat.recent.was_absent:
                await self._admin.bind(seat.recent.name, seat.recent.queue.bindings)
            await self._subscriptions.write(
                connection.user, connection.client_id, list(connection.plans)
            )
        except BROKER_FAULTS as error:
            log.info("subscriptions not recorded: %s", error)  # done at its next connection

    def _arrival(self, connection: Connection, seat: Seat) -> Arrival:
        assert seat.inbox is not None and seat.recent is not None
        inbox, recent = seat.inbox, seat.recent
        gap = recent.waiting > RECENT_KEPT or (connection.resume and recent.was_absent)
        return Arrival(_count(inbox), min(_count(recent), RECENT_KEPT), gap=gap and _fresh(recent))

    def _vacate(self, connection: Connection, seat: Seat) -> None:
        if self._seats.pop(connection, None) is None:
            return
        for line in (seat.inbox, seat.recent):
            if line is not None:
                self._lines.give_up(connection, line)
        for line in self._lines:  # claimed, while opening was cut short
            if connection in line.claims:
                self._lines.give_up(connection, line)
        if seat.bound:
            self._node.unbind([relay.binding(connection.word), *self._edge_bindings(connection)])
        self._hold(connection, ())
        users = self._users[connection.word]
        users.discard(connection)
        if not users:
            del self._users[connection.word]
        if connection.client_id is not None:
            key = (connection.word, escape(connection.client_id))
            if self._clients.get(key) is connection:
                del self._clients[key]

    def _hold(self, connection: Connection, plans: Iterable[Plan]) -> None:
        """Have the connection hear exactly ``plans``."""
        before = connection.topics
        connection.hold(plans)
        now = connection.topics
        self._live.remove(connection, before - now)
        self._live.add(connection, now - before)
        if connection.client_id is None:
            own = f"user:{connection.word}"  # the one topic for which it has a tray
            self._passing.remove(connection, before - now - {own})
            self._passing.add(connection, now - before - {own})

    def _edge_bindings(self, connection: Connection) -> list[Binding]:
        """Return what the edge's queue is bound to for this connection."""
        tray = set(self._tray_bindings(connection))
        wanted = dict.fromkeys(
            binding
            for given in connection.plans.values()
            for binding in (*given.live, *given.recent)
        )
        return [binding for binding in wanted if binding not in tray]

    def _tray_bindings(self, connection: Connection) -> list[Binding]:
        """Return what the recent tray is bound to for this connection.

        A named device's tray has all its channels. The nameless connections of a user share one,
        which has only the user's own alerts: what else one of them watches is its own affair.
        """
        own = user_channel(connection.user)
        return [
            binding
            for given in connection.plans.values()
            if connection.client_id is not None or given.name == own
            for binding in given.recent
        ]

    async def _add(self, connection: Connection, new: list[Plan]) -> bool:
        """Bind, then record. False when the broker did not do it: nothing is changed then."""
        edge_before = self._edge_bindings(connection)
        tray_before = self._tray_bindings(connection)
        before = list(connection.plans.values())
        self._hold(connection, [*before, *new])
        edge_new = _without(self._edge_bindings(connection), edge_before)
        tray_new = _without(self._tray_bindings(connection), tray_before)
        try:
            async with asyncio.timeout(5.0):
                await self._node.bind(edge_new)
                if tray_new and (line := self._seats[connection].recent) is not None:
                    await asyncio.shield(
                        self._tasks.spawn(
                            self._widen_tray(connection, line, tuple(tray_new)), "widen tray"
                        )
                    )
        except (TimeoutError, KeyError, *BROKER_FAULTS) as error:
            log.info("not subscribed: %s", error)
            if not connection.closed:
                self._node.unbind(edge_new)
                self._hold(connection, before)
            return False
        return True

    async def _widen_tray(
        self, connection: Connection, line: Line, bindings: tuple[Binding, ...]
    ) -> None:
        await self._admin.bind(line.name, bindings)
        line.queue = replace(line.queue, bindings=tuple(self._tray_bindings(connection)))
        if connection.client_id is not None:
            await self._subscriptions.write(
                connection.user, connection.client_id, list(connection.plans)
            )

    async def _shrink_tray(self, connection: Connection, before: list[Binding]) -> None:
        line = self._seats[connection].recent
        if line is None or connection.client_id is None:
            return
        after = self._tray_bindings(connection)
        line.queue = replace(line.queue, bindings=tuple(after))
        try:
            async with asyncio.timeout(5.0):
                await self._subscriptions.write(
                    connection.user, connection.client_id, list(connection.plans)
                )
                await self._admin.unbind(line.name, tuple(_without(before, after)))
        except (TimeoutError, *BROKER_FAULTS) as error:
            log.info("not unbound: %s", error)  # what still comes is settled unseen

    def _on_proof(self, connection: Connection, number: int) -> None:
        seat = self._seats.get(connection)
        if seat is not None and seat.recent is not None:
            self._lines.received(connection, seat.recent, number)


def _count(line: Line) -> int:
    waiting = line.waiting if _fresh(line) else 0
    return waiting + len(line.tray)


def _fresh(line: Line) -> bool:
    """Return whether what waited in its queue is still to be delivered."""
    return line.tray.state is State.OPENING


def _without(bindings: Iterable[Binding], others: Iterable[Binding]) -> list[Binding]:
    taken = set(others)
    return [binding for binding in bindings if binding not in taken]
