"""What desk keeps of an event: one table says what each type does. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from tapewire.contracts import (
    EVERYONE,
    AlgorithmDecision,
    EmergencyStop,
    Event,
    PerformanceMilestone,
    PositionUpdate,
    Quality,
    RiskAlert,
    SessionCompleted,
    SessionStarted,
    SessionStatus,
    SystemNotification,
    TradeExecuted,
    VolatilityAlert,
    encode,
    quality_of,
)

Level = str
"""``info``, ``warning``, ``critical`` or ``emergency``."""


@dataclass(frozen=True, slots=True)
class Started:
    """The session begins, or begins again after it had ended."""


class Figures(NamedTuple):
    """What a session stood at, for its history."""

    pnl: float
    equity: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """The session's figures and status; without effect once it has ended."""

    status: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over until it is started again."""

    status: str
    figures: Figures | None


@dataclass(frozen=True, slots=True)
class Counted:
    """One more of something: a counter of the session."""

    counter: str


@dataclass(frozen=True, slots=True)
class Positioned:
    """A position has changed, or is closed."""

    symbol: str
    closed: bool


Change = Started | Measured | Ended | Counted | Positioned

CHANGES: Final[dict[type[Event], Callable[[Any], Change]]] = {
    SessionStarted: lambda event: Started(),
    SessionStatus: lambda event: Measured(event.status, _measured(event)),
    SessionCompleted: lambda event: Ended(event.status, _ended(event)),
    AlgorithmDecision: lambda event: Counted("decisions"),
    TradeExecuted: lambda event: Counted("trades"),
    PerformanceMilestone: lambda event: Counted("milestones"),
    PositionUpdate: lambda event: Positioned(event.symbol, closed=event.quantity == 0),
    RiskAlert: lambda event: Counted("alerts"),
    VolatilityAlert: lambda event: Counted("alerts"),
    EmergencyStop: lambda event: Counted("alerts"),
}
"""What each type does to its session; other types do nothing to it."""

LEVELS: Final[dict[type[Event], Callable[[Any], Level]]] = {
    RiskAlert: lambda event: event.alert_level,
    VolatilityAlert: lambda event: event.alert_level,
    EmergencyStop: lambda event: "emergency",
    SystemNotification: lambda event: event.level,
    PerformanceMilestone: lambda event: "info",
}
"""The types that are notifications, and how urgent each is."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as it is entered.

    ``level``: None when it is no notification. ``kept``: whether it is entered by its id, so
    that it counts once however often it comes. A ``session_status`` is not: the newest replaces
    the one before, and a repeated one is replaced in its turn.
    """

    user: str
    id: str
    type: str
    session: str | None
    level: Level | None
    at: datetime
    body: str
    kept: bool
    change: Change | None


def entry_of(event: Event) -> Entry:
    """Return what is to be entered for ``event``."""
    session: str | None = getattr(event, "session_id", None)
    change = CHANGES.get(type(event))
    return Entry(
        user=getattr(event, "user_id", None) or EVERYONE,
        id=event.id,
        type=event.type,
        session=session,
        level=_level(event),
        at=event.timestamp,
        body=encode(event).decode(),
        kept=not isinstance(event, SessionStatus),
        change=change(event) if change is not None and session is not None else None,
    )


def _measured(event: SessionStatus) -> Figures:
    data = event.data
    return Figures(float(data.current_pnl), None if data.equity is None else float(data.equity))


def _ended(event: SessionCompleted) -> Figures | None:
    return None if event.summary is None else Figures(float(event.summary.final_pnl))


def _level(event: Event) -> Level | None:
    """A notification is what says how urgent it is, and what its producer wants acknowledged."""
    level = LEVELS.get(type(event))
    own = level(event) if level is not None else None
    if quality_of(event) is Quality.CRITICAL and own not in {"critical", "emergency"}:
        return "critical"
    return own
