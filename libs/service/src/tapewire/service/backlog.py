"""How much waits in an outbox, and for how long, as `/metrics` shows it."""

from collections.abc import Callable
from datetime import UTC, datetime

from tapewire.service import metrics


class Backlog:
    """The figures of one outbox.

    Its publisher tells what it found; the age goes on growing by itself while the publisher can
    find nothing, with the broker or the database away: just then somebody must hear of it.

    Args:
        now: our clock.
    """

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._count = 0
        self._oldest: datetime | None = None
        self._stop = [
            metrics.observe(metrics.OUTBOX_DEPTH, lambda: self._count),
            metrics.observe(metrics.OUTBOX_OLDEST, self._age_s),
        ]

    def found(self, count: int, oldest: datetime | None) -> None:
        """So many messages wait, the oldest since then."""
        self._count, self._oldest = count, oldest if count else None

    def close(self) -> None:
        """Be observed no longer."""
        for stop in self._stop:
            stop()

    def _age_s(self) -> float:
        if self._oldest is None:
            return 0.0
        return max(0.0, (self._now() - self._oldest).total_seconds())
