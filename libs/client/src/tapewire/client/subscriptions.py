"""Which channels the application wants, and which it has."""

from collections.abc import Iterable, Mapping
from typing import Any


class Subscriptions:
    """Wishes outlive connections; what the server gave does not."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self._wanted = dict.fromkeys(wanted)
        self._given_up: set[str] = set()
        self._current: dict[str, None] = {}
        self._rejected: dict[str, str] = {}

    @property
    def wanted(self) -> tuple[str, ...]:
        """What to ask for after every welcome."""
        return tuple(self._wanted)

    @property
    def current(self) -> tuple[str, ...]:
        """What the server says this connection has."""
        return tuple(self._current)

    @property
    def rejected(self) -> Mapping[str, str]:
        """Channel → code, for those that the server did not give."""
        return dict(self._rejected)

    def want(self, channels: Iterable[str]) -> None:
        """Ask for these from now on."""
        for channel in channels:
            self._wanted[channel] = None
            self._given_up.discard(channel)
            self._rejected.pop(channel, None)

    def give_up(self, channels: Iterable[str]) -> None:
        """Ask for these no more."""
        for channel in channels:
            self._wanted.pop(channel, None)
            self._given_up.add(channel)

    def welcomed(self, channels: Iterable[str]) -> tuple[str, ...]:
        """Take the channels of a welcome; return those of them that were given up meanwhile."""
        self._current = dict.fromkeys(channels)
        return tuple(c for c in self._current if c in self._given_up)

    def subscribed(self, reply: Mapping[str, Any]) -> None:
        """Take a ``subscribed`` reply: what was rejected is not asked for again."""
        self._current.update(dict.fromkeys(reply.get("channels", ())))
        for refusal in reply.get("rejected", ()):
            self.refused([refusal["channel"]], refusal.get("code", "unknown"))

    def refused(self, channels: Iterable[str], code: str) -> None:
        """Take the refusal of channels."""
        for channel in channels:
            self._wanted.pop(channel, None)
            self._rejected[channel] = code

    def unsubscribed(self, channels: Iterable[str]) -> None:
        """Take an ``unsubscribed`` reply."""
        for channel in channels:
            self._current.pop(channel, None)
            self._given_up.discard(channel)
