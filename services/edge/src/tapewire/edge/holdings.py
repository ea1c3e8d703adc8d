"""What a connection's channels are on the broker, and who hears what.

A named device's recent tray is bound to all its channels. The nameless connections of a user share
one tray, which has only the user's own alerts: what else one of them watches passes through the
edge's queue, for as long as it watches (ADR 0006).
"""

from collections.abc import Iterable

from tapewire.broker.topology import Binding
from tapewire.edge.audience import Audience
from tapewire.edge.channels import Plan, user_channel
from tapewire.edge.connection import Connection


class Holdings:
    """Keeps connections' channels and their audiences in step.

    Args:
        live: subscribers of live topics.
        passing: nameless connections, by what they have no tray for.
    """

    def __init__(self, live: Audience, passing: Audience) -> None:
        self._live = live
        self._passing = passing

    def hold(self, connection: Connection, plans: Iterable[Plan]) -> None:
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
        """Return what the recent tray is bound to for this connection."""
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
