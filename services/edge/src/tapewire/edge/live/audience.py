"""Who hears what: subscribers by topic."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final
from weakref import ref

from tapewire.edge.connection.connection import Connection
from tapewire.edge.connection.walk import Hearers

_NOBODY: Final = Hearers()
_REMEMBERED: Final = 4  # audiences; comparing two of a thousand takes 25 µs


class Audience:
    """Connections by topic, in the order in which they came.

    Most people watch the same lists. Topics with the same subscribers have one ``Hearers``, made
    when somebody asks and kept until a subscriber comes or goes.
    """

    def __init__(self) -> None:
        self._topics: dict[str, dict[Connection, None]] = {}
        self._hearers: dict[str, Hearers] = {}
        self._latest: deque[ref[Hearers]] = deque(maxlen=_REMEMBERED)

    def add(self, connection: Connection, topics: Iterable[str]) -> None:
        """Have ``connection`` hear ``topics``."""
        for topic in topics:
            self._topics.setdefault(topic, {})[connection] = None
            self._hearers.pop(topic, None)

    def remove(self, connection: Connection, topics: Iterable[str]) -> None:
        """Have it hear them no more."""
        for topic in topics:
            hearers = self._topics.get(topic)
            if hearers is not None and connection in hearers:
                self._hearers.pop(topic, None)
                del hearers[connection]
                if not hearers:
                    del self._topics[topic]

    def of(self, topic: str) -> Hearers:
        """Return who hears ``topic``."""
        known = self._hearers.get(topic)
        if known is None:
            if topic not in self._topics:
                return _NOBODY
            known = self._hearers[topic] = self._same(self._topics[topic])
        return known

    def of_any(self, topics: Iterable[str]) -> Hearers:
        """Return who hears at least one of ``topics``, each once."""
        found = [topic for topic in topics if topic in self._topics]
        if len(found) == 1:
            return self.of(found[0])
        return self._same({one: None for topic in found for one in self._topics[topic]})

    def _same(self, members: Mapping[Connection, None]) -> Hearers:
        """Return the ``Hearers`` that these are, if it was made lately; or a new one."""
        if not members:
            return _NOBODY
        for made in self._latest:
            hearers = made()
            if hearers is not None and hearers == members:
                return hearers
        hearers = Hearers(members)
        self._latest.append(ref(hearers))
        return hearers
