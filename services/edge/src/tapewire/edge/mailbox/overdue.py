"""Recent trays that were out of reach when their connections were welcomed.

In a cluster a classic queue lives on one node. While that node is down, a device still gets its
inbox, which is replicated, and what comes live: its recent messages pass through the edge's own
queue, as a nameless connection's do. ``welcome`` says ``gap``: what the tray had is not shown yet.
Once the node is back, the tray is attached in the background; what waited in it is delivered then,
behind what came meanwhile, and what was published in the moment of the change may come twice.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from tapewire.broker import CONNECTION_ERRORS, BrokerError, full_jitter
from tapewire.contracts.frames import Subscribed
from tapewire.edge.connection.channels import Plan
from tapewire.edge.connection.connection import Connection
from tapewire.edge.live.holdings import Holdings, without
from tapewire.edge.live.node import Node
from tapewire.edge.mailbox.line import Line
from tapewire.edge.mailbox.lines import Lines
from tapewire.edge.mailbox.subscriptions import Subscriptions
from tapewire.edge.runtime.admin import Admin

log = logging.getLogger(__name__)

FIRST_TRY_S: Final = 0.5
LAST_TRY_S: Final = 5.0


class Overdue:
    """Attaches trays late. Run in tasks that no client's disconnect reaches.

    Args:
        plans: returns what a connection may have of channels by name.
    """

    def __init__(
        self,
        *,
        lines: Lines,
        holdings: Holdings,
        node: Node,
        admin: Admin,
        subscriptions: Subscriptions,
        plans: Callable[[Connection, Iterable[str]], list[Plan]],
    ) -> None:
        self._lines = lines
        self._holdings = holdings
        self._node = node
        self._admin = admin
        self._subscriptions = subscriptions
        self._plans = plans

    async def remember(self, connection: Connection) -> None:
        """Give a device the channels of its record, once that can be read."""
        waits = full_jitter(FIRST_TRY_S, LAST_TRY_S)
        names: list[str] | None = None
        while not connection.closed:
            try:
                assert connection.client_id is not None
                names = await self._subscriptions.read(connection.user, connection.client_id)
                break
            except (*CONNECTION_ERRORS, BrokerError) as error:
                log.info("subscriptions still not read: %s", error)
                await asyncio.sleep(next(waits))
        new = [name for name in names or () if name not in connection.plans]
        if connection.closed or not new:
            return
        before = self._holdings.on_edge(connection)
        given = self._plans(connection, new)
        self._holdings.hold(connection, [*connection.plans.values(), *given])
        await self._node.bind(without(self._holdings.on_edge(connection), before))
        if not connection.closed:
            connection.say(Subscribed(channels=[plan.name for plan in given], rejected=[]))

    async def attach(self, connection: Connection, line: Line) -> bool:
        """Have a connection's recent messages come from its tray; False when it has ended.

        What it subscribed to meanwhile is bound and recorded by then.
        """
        waits = full_jitter(FIRST_TRY_S, LAST_TRY_S)
        while not connection.closed:
            await line.in_reach.wait()
            try:
                await self._admin.bind(line.name, tuple(self._holdings.for_tray(connection)))
                if connection.client_id is not None:
                    await self._subscriptions.write(
                        connection.user, connection.client_id, list(connection.plans)
                    )
                break
            except (*CONNECTION_ERRORS, BrokerError) as error:
                log.info("tray still not attached: %s", error)
                await asyncio.sleep(next(waits))
        if connection.closed:
            return False
        before = self._holdings.on_edge(connection)
        self._holdings.set_trayless(connection, False)
        self._node.unbind(without(before, self._holdings.on_edge(connection)))
        self._lines.join(connection, line)
        return True
