"""What a feed is."""

from collections.abc import AsyncIterator
from typing import Protocol

from tapewire.market.tick import Tick


class FeedRefused(Exception):
    """The source will not have us, for a reason that stays: credentials, a plan, a ban.

    Args:
        retry_after_s: it is pointless to come back sooner.
    """

    def __init__(self, reason: str, *, retry_after_s: float) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Feed(Protocol):
    """A source of ticks: ``async for tick in feed``.

    Each iteration is a connection of its own. It ends when there is nothing more to come, and
    raises when the source was lost; then it is iterated again after a wait.
    """

    @property
    def name(self) -> str:
        """Name in metrics and logs."""
        ...

    @property
    def silence_s(self) -> float | None:
        """Return how long it may be silent before its quotes are stale; None: for ever."""
        ...

    @property
    def reconnects_when_silent(self) -> bool:
        """Whether a new connection helps against silence."""
        ...

    @property
    def max_jump(self) -> float:
        """Return the largest believable step between two ticks, |ln(price ÷ last)|."""
        ...

    @property
    def live(self) -> bool:
        """Whether ticks carry the time of now."""
        ...

    def __aiter__(self) -> AsyncIterator[Tick]:
        """Connect, and yield ticks."""
        ...
