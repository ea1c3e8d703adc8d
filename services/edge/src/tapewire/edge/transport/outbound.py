"""What waits to be written to one connection, and what happens when it does not read.

Frames that are due in the same turn of the loop are joined into one write. While the transport's
buffer is above its high-water mark the connection is *lagging*: live frames replace older ones of
their key, recent ones wait in a bounded queue, and what must arrive is written through (replies,
and critical messages, whose number the tray's window bounds).
"""

from collections import deque
from typing import Final

HIGH_WATER: Final = 64 * 1024  # bytes in the transport's buffer: about 300 messages of 200 bytes
LOW_WATER: Final = 16 * 1024
RECENT_WAITING: Final = 512  # frames; as many as a recent tray's window


class Outbound:
    """The frames of one connection. Pure: ``take`` returns what to write.

    Attributes:
        ready: what is due, in order. Who finds the connection not lagging may append to it.
        lagging: between ``pause`` and ``resume``.
        conflated: live frames that a newer one replaced.
    """

    __slots__ = ("_limit", "_live", "_recent", "conflated", "lagging", "ready")

    def __init__(self, recent_waiting: int = RECENT_WAITING) -> None:
        self._limit = recent_waiting
        self.ready: list[bytes] = []
        self._live: dict[str, bytes] | None = None
        self._recent: deque[bytes] | None = None
        self.lagging = False
        self.conflated = 0

    def must(self, frame: bytes) -> None:
        """Write it whatever happens: a reply, or a critical message."""
        self.ready.append(frame)

    def recent(self, frame: bytes) -> bool:
        """Write it in its order. False: too many wait, the connection is too slow."""
        if not self.lagging:
            self.ready.append(frame)
            return True
        if self._recent is None:
            self._recent = deque()
        if len(self._recent) >= self._limit:
            return False
        self._recent.append(frame)
        return True

    def live(self, key: str, frame: bytes) -> None:
        """Write it, or the newest of its ``key`` once the connection reads again."""
        if not self.lagging:
            self.ready.append(frame)
            return
        if self._live is None:
            self._live = {}
        if key in self._live:
            self.conflated += 1
            del self._live[key]  # newest last
        self._live[key] = frame

    def pause(self) -> None:
        """The transport's buffer passed its high-water mark."""
        self.lagging = True

    def resume(self) -> None:
        """The transport's buffer is below its low-water mark: what waited is due."""
        self.lagging = False
        if self._recent:
            self.ready.extend(self._recent)
        if self._live:
            self.ready.extend(self._live.values())
        self._recent = self._live = None

    def take(self) -> bytes:
        """Return everything that is due, as one write."""
        ready = self.ready
        if not ready:
            return b""
        data = ready[0] if len(ready) == 1 else b"".join(ready)
        ready.clear()
        return data

    @property
    def waiting(self) -> int:
        """How many frames wait for the connection to read."""
        return len(self._recent or ()) + len(self._live or ())

    def __bool__(self) -> bool:
        """Return whether ``take`` would return something."""
        return bool(self.ready)
