"""Who hears what: subscribers by topic."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from tapewire.edge.connection.connection import Connection

_NOBODY: Final[Mapping[Connection, None]] = MappingProxyType({})


class Audience:
    """Connections by topic, in the order in which they came."""

    def __init__(self) -> None:
        self._topics: dict[str, dict[Connection, None]] = {}

    def add(self, connection: Connection, topics: Iterable[str]) -> None:
        """Have ``connection`` hear ``topics``."""
        for topic in topics:
            self._topics.setdefault(topic, {})[connection] = None

    def remove(self, connection: Connection, topics: Iterable[str]) -> None:
        """Have it hear them no more."""
        for topic in topics:
            hearers = self._topics.get(topic)
            if hearers is not None:
                hearers.pop(connection, None)
                if not hearers:
                    del self._topics[topic]

    def of(self, topic: str) -> Mapping[Connection, None]:
        """Return who hears ``topic``."""
        return self._topics.get(topic, _NOBODY)

    def of_any(self, topics: Iterable[str]) -> Mapping[Connection, None]:
        """Return who hears at least one of ``topics``, each once."""
        found = [hearers for topic in topics if (hearers := self._topics.get(topic))]
        if len(found) == 1:
            return found[0]
        return {connection: None for hearers in found for connection in hearers}
