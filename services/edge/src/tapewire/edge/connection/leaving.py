"""How fast a draining edge lets its connections go. Pure.

Whoever is let go comes back at once, to another edge, which has a mailbox to open for it. So the
pace is a rate that another edge can take beside its own work, and never one that this edge's
broker is behind with: a user whose trays are still being given back here waits for them there.
"""

import math
from dataclasses import dataclass
from typing import Final

# Trays being given back at once. It takes a round trip to the broker, so more of them only wait for
# each other, and their users with them.
UNDER_WAY: Final = 64
# Of the time that a drain may take; what is left is for giving back the last trays.
SHARE_FOR_CLOSING: Final = 0.75
# A client's own spread, named in `draining`. The closes are paced already; this only parts those of
# one turn, and every millisecond of it a user is away.
SPREAD_S: Final = 0.25


@dataclass(frozen=True)
class Leaving:
    """The pace of one drain.

    Args:
        connections: how many there are to close.
        per_s: how many a second, unless that takes too long.
        at_most_s: by when all are closed, whatever ``per_s`` says.
    """

    connections: int
    per_s: float
    at_most_s: float

    @property
    def window_s(self) -> float:
        """Over how long the closes are spread when nothing holds them up."""
        return min(self.at_most_s, self.connections / self.per_s)

    @property
    def spread_s(self) -> float:
        """Over how long a client should spread its first try."""
        return min(SPREAD_S, self.window_s)

    def due(self, elapsed_s: float, closed: int, under_way: int) -> int:
        """Return how many to close now.

        Args:
            elapsed_s: since the drain began.
            closed: how many were closed by now.
            under_way: how many trays are being given back.
        """
        left = self.connections - closed
        if elapsed_s >= self.at_most_s:
            return left
        planned = self.connections
        if elapsed_s < self.window_s:
            planned = math.ceil(self.connections * elapsed_s / self.window_s)
        return max(0, min(planned - closed, UNDER_WAY - under_way, left))
