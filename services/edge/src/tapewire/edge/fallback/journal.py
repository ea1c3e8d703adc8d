"""What a connection without a socket has written: numbered, kept until HTTP has carried it.

Pure. Stream and poll read it in their own way; both prove receipt by number.
"""

from collections import deque
from typing import NamedTuple

from tapewire.edge.transport.unframed import Ping, Text, unframed


class Entry(NamedTuple):
    """One message and its number in the connection."""

    number: int
    body: bytes


class End(NamedTuple):
    """How the connection ended: a close code and its name."""

    code: int
    reason: str


class Journal:
    """Entries in order, and the pings between them.

    Attributes:
        size: bytes of the entries that it keeps.
        newest: the number of the last entry written.
        pings: how many were written; ``asked``: the number whose receipt the newest wants proved.
        end: set once nothing more will be written.
    """

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._pings: deque[tuple[int, bytes]] = deque()
        self.size = 0
        self.newest = 0
        self.pings = 0
        self.asked = 0
        self.end: End | None = None

    def __len__(self) -> int:
        """Return how many entries it keeps."""
        return len(self._entries)

    def write(self, frames: bytes) -> None:
        """Take what whole WebSocket frames carry."""
        for part in unframed(frames):
            match part:
                case Text(body):
                    self.newest += 1
                    self.size += len(body)
                    self._entries.append(Entry(self.newest, body))
                case Ping(payload):
                    self._pings.append((self.newest, payload))
                    self.pings += 1
                    self.asked = self.newest

    def close(self, code: int, reason: str) -> None:
        """Write nothing more."""
        if self.end is None:
            self.end = End(code, reason)

    def first(self, most_bytes: int) -> list[Entry]:
        """Return the oldest entries, together no larger than ``most_bytes``, but at least one."""
        found: list[Entry] = []
        size = 0
        for entry in self._entries:
            size += len(entry.body)
            if found and size > most_bytes:
                break
            found.append(entry)
        return found

    def drop(self, number: int) -> None:
        """Keep entries up to ``number`` no longer."""
        while self._entries and self._entries[0].number <= number:
            self.size -= len(self._entries.popleft().body)

    def forget(self, count: int) -> None:
        """Keep the oldest ``count`` entries no longer."""
        for _ in range(count):
            self.size -= len(self._entries.popleft().body)

    def answered(self, number: int) -> list[bytes]:
        """Return the payloads of the pings that the receipt of ``number`` answers, once each."""
        found: list[bytes] = []
        while self._pings and self._pings[0][0] <= number:
            found.append(self._pings.popleft()[1])
        return found
