"""The ids that have been taken lately."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Taken(Generic[K]):
    """A set that forgets: bounded by count and by age, oldest first. Pure.

    Args:
        keep: keys remembered at most.
        keep_s: how long a key is remembered, in seconds of the clock that callers pass as `now`.
    """

    def __init__(self, *, keep: int, keep_s: float) -> None:
        self._keep = keep
        self._keep_s = keep_s
        self._since: OrderedDict[K, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._since)

    def holds(self, key: K, *, now: float) -> bool:
        """Return whether ``key`` was added within the window."""
        since = self._since.get(key)
        return since is not None and now - since < self._keep_s

    def add(self, key: K, *, now: float) -> None:
        """Remember ``key`` from ``now`` on. ``now`` never goes back."""
        self._since[key] = now
        self._since.move_to_end(key)
        while self._since:
            oldest = next(iter(self._since.values()))
            if len(self._since) <= self._keep and now - oldest < self._keep_s:
                return
            self._since.popitem(last=False)
