"""What risk knows of one trading session, and how each event changes it. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from tapewire.contracts import (
    Event,
    PositionUpdate,
    SessionCompleted,
    SessionStarted,
    SessionStatus,
    TradeExecuted,
)
from tapewire.risk.episode import Episode


@dataclass(frozen=True, slots=True)
class Limits:
    """What a session may lose and how long it may run; None: no such limit."""

    loss: Decimal | None = None  # in the account's currency, above zero
    time_s: int | None = None

    def or_else(self, other: "Limits") -> "Limits":
        """Return these limits, with ``other``'s where these say nothing."""
        return Limits(
            self.loss if self.loss is not None else other.loss,
            self.time_s if self.time_s is not None else other.time_s,
        )


NO_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Session:
    """One session of one user.

    Time is the session's own: ``at`` is the newest event's timestamp and never runs backwards,
    ``heard_at`` is our clock when it came. So a replay of old events, or a producer whose clock is
    off, is judged by its own time.
    """

    user: str
    session: str
    status: str | None = None  # of the contracts' SessionState; None: never heard of
    at: datetime | None = None
    heard_at: datetime | None = None
    started_at: datetime | None = None
    marked_at: datetime | None = None  # when P&L was last told, in session time
    pnl: Decimal | None = None  # as the newest session_status said
    utilization: float | None = None  # the producer's own figure, %
    realized: Decimal | None = None  # summed from trades; counts until a session_status came
    unrealized: Mapping[str, Decimal] = field(default_factory=dict)  # by symbol, likewise
    announced: Limits = NO_LIMITS  # by session_started
    imposed: Limits = NO_LIMITS  # by a person; goes before what was announced
    imposed_by: str | None = None
    episodes: Mapping[str, Episode] = field(default_factory=dict)  # by rule

    @property
    def closed(self) -> bool:
        """Whether the session ended: nothing is watched any more."""
        return self.status in ("completed", "expired")

    def limits(self, defaults: Limits) -> Limits:
        """Return the limits in force: a person's, else the session's own, else the defaults."""
        return self.imposed.or_else(self.announced).or_else(defaults)

    def profit(self) -> Decimal | None:
        """Return P&L as told, or summed from trades and positions where nobody told it."""
        if self.pnl is not None:
            return self.pnl
        if self.realized is None and not self.unrealized:
            return None
        return sum(self.unrealized.values(), self.realized or Decimal(0))

    def time(self, now: datetime) -> datetime | None:
        """Return the session's own time when our clock says ``now``."""
        if self.at is None or self.heard_at is None:
            return None
        return self.at + max(now - self.heard_at, timedelta(0))


def hear(session: Session, event: Event, now: datetime) -> tuple[Session, bool]:
    """Return the session after ``event``, and whether P&L was told anew (a mark).

    ``now`` is our clock. Events of types that tell risk nothing move the session's time only.
    """
    at = event.timestamp if session.at is None else max(session.at, event.timestamp)
    session = replace(session, at=at, heard_at=now)
    apply = _APPLY.get(type(event))
    if apply is None:
        return session, False
    after, mark = apply(session, event, at)
    return (replace(after, marked_at=at) if mark else after), mark


def _started(session: Session, event: SessionStarted, at: datetime) -> tuple[Session, bool]:
    return replace(
        session,
        status="active",
        started_at=at,
        marked_at=at,  # from here silence counts
        pnl=None,
        utilization=None,
        realized=None,
        unrealized={},
        announced=Limits(event.loss_limit, event.time_limit_s),
    ), False


def _status(session: Session, event: SessionStatus, at: datetime) -> tuple[Session, bool]:
    data = event.data
    started = session.started_at
    if started is None and data.time_elapsed is not None:
        started = at - timedelta(seconds=data.time_elapsed)
    return replace(
        session,
        status=event.status,
        started_at=started,
        pnl=data.current_pnl,
        utilization=data.loss_limit_utilization,
    ), True


def _completed(session: Session, event: SessionCompleted, at: datetime) -> tuple[Session, bool]:
    return replace(session, status="completed"), False


def _trade(session: Session, event: TradeExecuted, at: datetime) -> tuple[Session, bool]:
    if event.realized_pnl is None:
        return session, False
    told = (session.realized or Decimal(0)) + event.realized_pnl - (event.fee or Decimal(0))
    return replace(session, realized=told), session.pnl is None


def _position(session: Session, event: PositionUpdate, at: datetime) -> tuple[Session, bool]:
    if event.unrealized_pnl is None and event.quantity:
        return session, False
    open_ = {k: v for k, v in session.unrealized.items() if k != event.symbol}
    if event.quantity and event.unrealized_pnl is not None:
        open_[event.symbol] = event.unrealized_pnl
    return replace(session, unrealized=open_), session.pnl is None


_APPLY: Final[Mapping[type[Event], Callable[..., tuple[Session, bool]]]] = {
    SessionStarted: _started,
    SessionStatus: _status,
    SessionCompleted: _completed,
    TradeExecuted: _trade,
    PositionUpdate: _position,
}
"""Event → what it changes: ``(session, event, session time) → (session, is a mark)``."""
