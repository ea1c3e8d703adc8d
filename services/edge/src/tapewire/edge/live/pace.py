"""The newest quotes of one connection, at its user's own rate. Pure."""

from tapewire.edge.transport.frames import Message


class Pace:
    """Keeps the newest quote of each symbol until the next turn.

    Args:
        rate: turns in a second; at each, every symbol that changed is told once.
    """

    __slots__ = ("_armed", "_interval_s", "_next_at", "_waiting")

    def __init__(self, rate: float) -> None:
        self._interval_s = 1 / rate
        self._waiting: dict[str, Message] = {}
        self._next_at = 0.0
        self._armed = False

    def offer(self, topic: str, message: Message, now: float) -> float | None:
        """Keep ``message``; return in how many seconds to ``take``, None if that is known."""
        self._waiting[topic] = message
        if self._armed:
            return None
        self._armed = True
        return max(0.0, self._next_at - now)

    def take(self, now: float) -> dict[str, Message]:
        """Return what is due, by topic."""
        waiting, self._waiting = self._waiting, {}
        self._armed = False
        self._next_at = now + self._interval_s
        return waiting
