"""What a connection's channels are on the broker, and who hears what.

A named device's recent tray is bound to all its channels. The nameless connections of a user share
one tray, which has only the user's own alerts: what else one of them watches passes through the
edge's queue, for as long as it watches (ADR 0006).
"""

from collections.abc import Iterable

from tapewire.broker.topology import Binding
from tapewire.edge.connection.channels import Plan, user_channel
from tapewire.edge.connection.connection import Connection
from tapewire.edge.live.audience import Audience
from tapewire.edge.live.pacing import Pacing


class Holdings:
    """Keeps connections' channels and their audiences in step.

    Args:
        live: subscribers of live topics.
        passing: connections by what they have no tray for: nameless ones, and those whose tray is
            out of reach.
        pacing: connections that hear the market at their user's own pace, apart from ``live``.
    """

    def __init__(self, live: Audience, passing: Audience, pacing: Pacing) -> None:
        self._live = live
        self._passing = passing
        self._pacing = pacing
        self._trayless: set[Connection] = set()

    def hold(self, connection: Connection, plans: Iterable[Plan]) -> None:
        """Have the connection hear exactly ``plans``."""
        before, passed = connection.topics, self._passes(connection)
        connection.hold(plans)
        now = connection.topics
        self._unhear(connection, before - now)
        self._hear(connection, now - before)
        self._pass(connection, passed)

    def pace(self, connection: Connection, rate: float | None) -> None:
        """Have the connection hear the market at ``rate`` quotes of a symbol a second, or all."""
        if rate is None and connection not in self._pacing:
            return
        self._unhear(connection, connection.topics)
        self._pacing.set(connection, rate)
        self._hear(connection, connection.topics)

    def let_go(self, connection: Connection) -> None:
        """The connection has ended."""
        self.hold(connection, ())
        self._trayless.discard(connection)
        self._pacing.set(connection, None)

    def set_trayless(self, connection: Connection, yes: bool) -> None:
        """Have everything pass by the edge's queue while the tray is out of reach, or no more."""
        passed = self._passes(connection)
        if yes:
            self._trayless.add(connection)
        else:
            self._trayless.discard(connection)
        self._pass(connection, passed)

    def _hear(self, connection: Connection, topics: frozenset[str]) -> None:
        if connection in self._pacing:
            paced = frozenset(topic for topic in topics if topic.startswith("market:"))
            self._pacing.audience.add(connection, paced)
            topics -= paced
        self._live.add(connection, topics)

    def _unhear(self, connection: Connection, topics: frozenset[str]) -> None:
        self._live.remove(connection, topics)
        if connection in self._pacing:
            self._pacing.audience.remove(connection, topics)

    def _passes(self, connection: Connection) -> frozenset[str]:
        """Return the topics that it has no tray for."""
        if connection in self._trayless:
            return connection.topics
        if connection.client_id is None:
            return connection.topics - {f"user:{connection.word}"}
        return frozenset()

    def _pass(self, connection: Connection, before: frozenset[str]) -> None:
        now = self._passes(connection)
        self._passing.remove(connection, before - now)
        self._passing.add(connection, now - before)

    def on_edge(self, connection: Connection) -> list[Binding]:
        """Return what the edge's queue is bound to for this connection, each once."""
        tray = set(self.on_tray(connection))
        wanted = dict.fromkeys(
            binding
            for given in connection.plans.values()
            for binding in (*given.live, *given.recent)
        )
        return [binding for binding in wanted if binding not in tray]

    def on_tray(self, connection: Connection) -> list[Binding]:
        """Return what the recent tray is bound to for this connection; nothing without a tray."""
        return [] if connection in self._trayless else self.for_tray(connection)

    def for_tray(self, connection: Connection) -> list[Binding]:
        """Return what its recent tray is to be bound to, in reach or not."""
        own = user_channel(connection.user)
        return [
            binding
            for given in connection.plans.values()
            if connection.client_id is not None or given.name == own
            for binding in given.recent
        ]


def without(bindings: Iterable[Binding], others: Iterable[Binding]) -> list[Binding]:
    """Return those of ``bindings`` that are not among ``others``."""
    taken = set(others)
    return [binding for binding in bindings if binding not in taken]
