"""How long executors have been silent, counted on a clock that nobody sets. Pure."""

from collections.abc import Mapping
from datetime import datetime
from math import inf


class Waiting:
    """Orders that wait for an executor's first word, and when each has waited long enough.

    A stored deadline is wall time, and wall time may be put on or back. So it counts only for what
    was dispatched before we began to look, and never for more than the whole deadline; what appears
    between two looks was dispatched between them, by whichever process.

    Args:
        ack_deadline_s: an executor's first word is due so long after the dispatch.
    """

    def __init__(self, ack_deadline_s: float) -> None:
        self._deadline_s = ack_deadline_s
        self._due: dict[str, float] = {}  # stop → steady time
        self._looked = -inf

    def overdue(
        self, dispatched: Mapping[str, datetime], *, wall: datetime, steady: float
    ) -> list[str]:
        """Return which of the stops that wait now have waited too long.

        Args:
            dispatched: all that wait: stop → its stored deadline.
            wall: our clock.
            steady: seconds of a clock that only runs.
        """
        earliest_s = max(0.0, self._deadline_s - (steady - self._looked))
        self._looked = steady
        known, self._due = self._due, {}
        for stop, deadline_at in dispatched.items():
            stored_s = (deadline_at - wall).total_seconds()
            left_s = min(max(stored_s, earliest_s), self._deadline_s)
            self._due[stop] = known.get(stop, steady + left_s)
        return [stop for stop, due in self._due.items() if due <= steady]
