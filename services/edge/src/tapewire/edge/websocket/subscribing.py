"""Subscribing and unsubscribing: first the broker, then the record, then the reply."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, NamedTuple

from tapewire.auth import Claims
from tapewire.broker import CONNECTION_ERRORS, BrokerError
from tapewire.broker.topology import Binding
from tapewire.edge.connection.channels import Plan, Refused, plan
from tapewire.edge.connection.connection import Connection
from tapewire.edge.connection.limits import Limits
from tapewire.edge.live.holdings import Holdings, without
from tapewire.edge.live.node import Node
from tapewire.edge.mailbox.mailboxes import Mailboxes
from tapewire.edge.mailbox.subscriptions import Subscriptions
from tapewire.edge.runtime.admin import Admin
from tapewire.edge.runtime.tasks import Tasks

log = logging.getLogger(__name__)

FAULTS: Final = (TimeoutError, *CONNECTION_ERRORS, BrokerError)
DEADLINE_S: Final = 5.0  # then the channel is `unavailable`, and the client tries again


class Granted(NamedTuple):
    """The answer to a subscription."""

    channels: list[str]
    rejected: list[tuple[str, str]]
    new: list[Plan]


class Subscribing:
    """Changes what connections hear. Run in tasks that no client's disconnect reaches."""

    def __init__(
        self,
        *,
        mailboxes: Mailboxes,
        holdings: Holdings,
        node: Node,
        admin: Admin,
        subscriptions: Subscriptions,
        tasks: Tasks,
        limits: Limits,
    ) -> None:
        self._mailboxes = mailboxes
        self._holdings = holdings
        self._node = node
        self._admin = admin
        self._subscriptions = subscriptions
        self._tasks = tasks
        self._limits = limits

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
        if new and not await self._add(connection, new):
            rejected += [(given.name, "unavailable") for given in new]
            new = []
        return Granted(channels + [given.name for given in new], rejected, new)

    async def unsubscribe(self, connection: Connection, names: Iterable[str]) -> list[str]:
        """Take channels back; return those that the connection does not have any more."""
        gone = [connection.plans[n] for n in dict.fromkeys(names) if n in connection.plans]
        if not gone or not self._mailboxes.has(connection):
            return []
        edge_before = self._holdings.on_edge(connection)
        tray_before = self._holdings.on_tray(connection)
        self._holdings.hold(connection, [p for p in connection.plans.values() if p not in gone])
        self._node.unbind(without(edge_before, self._holdings.on_edge(connection)))
        await self._shrink(connection, tray_before)
        return [p.name for p in gone]

    async def restrict(self, connection: Connection, claims: Claims) -> list[str]:
        """Take on newer claims; return the channels that they do not give any more."""
        connection.claims = claims
        lost = [n for n in connection.plans if isinstance(plan(n, claims), Refused)]
        return await self.unsubscribe(connection, lost) if lost else []

    async def _add(self, connection: Connection, new: list[Plan]) -> bool:
        """Bind, then record. False when the broker did not do it: nothing is changed then."""
        if not self._mailboxes.has(connection):
            return False
        edge_before = self._holdings.on_edge(connection)
        tray_before = self._holdings.on_tray(connection)
        before = list(connection.plans.values())
        # Heard before bound: what a tray delivers to nobody's interest is settled unseen.
        self._holdings.hold(connection, [*before, *new])
        edge_new = without(self._holdings.on_edge(connection), edge_before)
        tray_new = without(self._holdings.on_tray(connection), tray_before)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._node.bind(edge_new)
                if tray_new:
                    widening = self._tasks.spawn(self._widen(connection, tray_new), "widen tray")
                    await asyncio.shield(widening)
        except FAULTS as error:
            log.info("not subscribed: %s", error or type(error).__name__)
            if self._mailboxes.has(connection):
                self._node.unbind(edge_new)
                self._holdings.hold(connection, before)
            return False
        return True

    async def _widen(self, connection: Connection, bindings: list[Binding]) -> None:
        line = self._mailboxes.recent_of(connection)
        if line is None:
            return
        await self._admin.bind(line.name, tuple(bindings))
        line.queue = replace(line.queue, bindings=tuple(self._holdings.on_tray(connection)))
        await self._record(connection)

    async def _shrink(self, connection: Connection, before: list[Binding]) -> None:
        line = self._mailboxes.recent_of(connection)
        if line is None or connection.client_id is None:
            return
        after = self._holdings.on_tray(connection)
        line.queue = replace(line.queue, bindings=tuple(after))
        try:
            async with asyncio.timeout(DEADLINE_S):
                await asyncio.shield(self._tasks.spawn(self._record(connection), "record"))
                gone = tuple(without(before, after))
                await asyncio.shield(
                    self._tasks.spawn(self._admin.unbind(line.name, gone), "narrow tray")
                )
        except FAULTS as error:
            log.info("not unbound: %s", error)  # what still comes is settled unseen

    async def _record(self, connection: Connection) -> None:
        if connection.client_id is not None:
            await self._subscriptions.write(
                connection.user, connection.client_id, list(connection.plans)
            )
