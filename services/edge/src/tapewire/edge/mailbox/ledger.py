"""The ids that a tray lately sent and lately saw acknowledged."""

from typing import Final

# Ids remembered per tray and kind. More than a prefetch window of either class, so that whatever
# the broker can hand out twice is recognised.
REMEMBERED: Final = 2048


class Ledger:
    """A bounded memory of ids, the oldest forgotten first, each with the number it had."""

    __slots__ = ("_ids", "_limit")

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._ids: dict[str, int] = {}
        self._limit = limit

    def add(self, identifier: str, number: int = 0) -> None:
        """Remember ``identifier`` as the newest."""
        self._ids.pop(identifier, None)
        self._ids[identifier] = number
        if len(self._ids) > self._limit:
            del self._ids[next(iter(self._ids))]

    def get(self, identifier: str) -> int | None:
        """Return the number that it had, or None when it is not remembered."""
        return self._ids.get(identifier)

    def discard(self, identifier: str) -> None:
        """Forget it."""
        self._ids.pop(identifier, None)

    def __contains__(self, identifier: str) -> bool:
        """Return whether it is remembered."""
        return identifier in self._ids

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._ids)
