"""What several events together do to a session: one change of its row. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from tapewire.desk.entry import Counted, Ended, Entry, Figures, Measured, Positioned, Started

SessionKey = tuple[str, str]
"""User and session."""

Moment = tuple[datetime, Figures]
"""When, and what a session stood at then."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A value that is set; ``unless_ended``: only if the session had not ended before."""

    value: str
    unless_ended: bool


@dataclass(slots=True)
class Patch:
    """The change of one session's row. None: as it was.

    Whether the session had ended is known to the database only, until an event of these says so.
    """

    status: Guarded | None = None
    metrics: Guarded | None = None
    ended: bool | None = None
    started: str | None = None
    completed: str | None = None
    reopened: bool = False
    counts: Counter[str] = field(default_factory=Counter[str])
    positions: dict[str, str | None] = field(default_factory=dict[str, str | None])
    """Symbol → newest position_update, None when it is closed."""
    history: list[Moment] = field(default_factory=list[Moment])
    """What the session stood at, oldest first."""
    history_unless_ended: list[Moment] = field(default_factory=list[Moment])
    """The same, and older than it: only if the session had not ended before."""

    @property
    def only_measures(self) -> bool:
        """Whether it is without effect on a session that has ended."""
        return (
            self.metrics is not None
            and self.metrics.unless_ended
            and self.ended is None
            and not self.counts
            and not self.positions
        )

    def add(self, entry: Entry) -> None:
        """Add what one more event does."""
        match entry.change:
            case Started():
                self.status = Guarded("active", unless_ended=False)
                self.ended, self.reopened = False, True
                self.started, self.completed = entry.body, None
            case Measured(status, figures):
                if self.ended:
                    return
                guard = self.ended is None
                history = self.history_unless_ended if guard else self.history
                history.append((entry.at, figures))
                self.status = Guarded(status, unless_ended=guard)
                self.metrics = Guarded(entry.body, unless_ended=guard)
            case Ended(status, figures):
                self.status = Guarded(status, unless_ended=False)
                if figures is not None:
                    self.history.append((entry.at, figures))
                self.ended, self.completed = True, entry.body
            case Counted(counter):
                self.counts[counter] += 1
            case Positioned(symbol, closed):
                self.positions[symbol] = None if closed else entry.body
            case None:
                pass


def patches_of(entries: Iterable[Entry]) -> dict[SessionKey, Patch]:
    """Return what these events, in this order, do to each session."""
    patches: dict[SessionKey, Patch] = {}
    for entry in entries:
        if entry.session is not None and entry.change is not None:
            patches.setdefault((entry.user, entry.session), Patch()).add(entry)
    return patches
