"""The edge's connections to the broker, as one component: one for each role (rule 9)."""

from typing import Final

from tapewire.broker import CONNECTION_ERRORS, BrokerError, Link, Role, declare
from tapewire.broker.topology import EXCHANGE_BINDINGS, EXCHANGES, Thing
from tapewire.edge.runtime.tasks import Tasks
from tapewire.service import metrics

NEEDED: Final[tuple[Thing, ...]] = (*EXCHANGES, *EXCHANGE_BINDINGS)


class Links:
    """Component: the links, and the exchanges that the edge counts on."""

    name = "broker"

    def __init__(self, url: str, *, node: str, heartbeat_s: int, tasks: Tasks) -> None:
        name = f"edge {node}"
        self.publishing = Link(url, Role.PUBLISH, name=name, heartbeat_s=heartbeat_s)
        self.consuming = Link(url, Role.CONSUME, name=name, heartbeat_s=heartbeat_s)
        self.topology = Link(url, Role.TOPOLOGY, name=name, heartbeat_s=heartbeat_s)
        self._all = (self.publishing, self.consuming, self.topology)
        self._tasks = tasks
        self._declared = False
        self.topology.on_up(self._declare)

    async def start(self) -> None:
        """Begin to connect."""
        for link in self._all:
            await link.start()
        self._stop_observing = [
            metrics.observe(
                metrics.BROKER_UP,
                lambda: [(float(link.is_up), {"role": link.role.value}) for link in self._all],
            ),
            metrics.observe(
                metrics.BROKER_RECONNECTS,
                lambda: [(link.reconnects, {"role": link.role.value}) for link in self._all],
            ),
        ]

    async def drain(self) -> None:
        """Nothing to finish: who uses the links drains first."""

    async def stop(self) -> None:
        """Close the connections; what is not settled is requeued."""
        for stop in self._stop_observing:
            stop()
        await self._tasks.cancel()
        for link in self._all:
            await link.close()

    def health(self) -> str | None:
        """Return None when every link is up and the exchanges are there."""
        for link in self._all:
            if (reason := link.health()) is not None:
                return reason
        return None if self._declared else "exchanges not declared"

    async def _declare(self) -> None:
        self._declared = False
        try:
            await declare(self.topology, NEEDED)
        except (*CONNECTION_ERRORS, BrokerError):
            raise
        self._declared = True
