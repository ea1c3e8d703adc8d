"""Since when this process has listened to its clients without a break. Pure.

A process can stand still: stopped, swapped out, waiting for a disk. When it goes on, clients seem
to have been silent for as long, and what they said waits in their sockets, behind the deadlines.
So silence counts only against who was listened to: after a break, nobody is judged before they had
a moment to be heard.
"""

from typing import Final

BREAK_S: Final = 0.5  # so late, a turn was missed, and not only delayed by work


class Attention:
    """Notices breaks by the lateness of turns that should come every ``tick_s``.

    Attributes:
        since: when it began to listen, at first or after the last break.
        turned_at: its last turn. What came since then may not have been read yet, so deadlines are
            judged by this time: a break in the middle of a turn counts for nobody.
    """

    __slots__ = ("_tick_s", "since", "turned_at")

    def __init__(self, tick_s: float, now: float) -> None:
        self._tick_s = tick_s
        self.since = self.turned_at = now

    def turn(self, now: float) -> float:
        """It is ``now``; return by how much this turn was late, 0 unless it was a break."""
        late_s = now - self.turned_at - self._tick_s
        self.turned_at = now
        if late_s <= BREAK_S:
            return 0.0
        self.since = now
        return late_s

    def has_passed(self, deadline: float, grace_s: float) -> bool:
        """Return whether it is past ``deadline``, with ``grace_s`` of listening before."""
        return self.turned_at >= self.passes_at(deadline, grace_s)

    def passes_at(self, deadline: float, grace_s: float) -> float:
        """Return when a deadline passes, unless there is another break."""
        return max(deadline, self.since + grace_s)
