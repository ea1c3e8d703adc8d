"""An emergency stop's life, as one table. The fleet signals executors; it cannot enforce."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from tapewire.contracts import EmergencyStop, RiskAlert, StopMode
from tapewire.risk.alerts import make_id


class StopState(StrEnum):
    """Where a stop stands."""

    SHADOW = "shadow"  # what a rule would have done; nobody was told
    REQUESTED = "requested"  # written down, not yet confirmed by the broker
    DISPATCHED = "dispatched"  # the broker has it
    ACKNOWLEDGED = "acknowledged"
    COMPLETED = "completed"
    PARTIAL = "partial"
    TIMED_OUT = "timed_out"  # no word from an executor in time
    RELEASED = "released"


class StopSignal(StrEnum):
    """What moves a stop. The executor's words have the names that they have on the wire."""

    DISPATCH = "dispatch"
    ACKNOWLEDGE = "acknowledged"
    COMPLETE = "completed"
    PART = "partial"
    TIMEOUT = "timeout"
    RELEASE = "release"


_WORDS: Final = {
    StopSignal.ACKNOWLEDGE: StopState.ACKNOWLEDGED,
    StopSignal.COMPLETE: StopState.COMPLETED,
    StopSignal.PART: StopState.PARTIAL,
}
_OVER: Final = {StopSignal.RELEASE: StopState.RELEASED}

STOP_TRANSITIONS: Final[Mapping[StopState, Mapping[StopSignal, StopState]]] = {
    StopState.SHADOW: _OVER,
    StopState.REQUESTED: {
        StopSignal.DISPATCH: StopState.DISPATCHED,
        **_WORDS,  # an executor may be quicker than our own note of the confirm
        **_OVER,
    },
    StopState.DISPATCHED: {StopSignal.TIMEOUT: StopState.TIMED_OUT, **_WORDS, **_OVER},
    StopState.ACKNOWLEDGED: {
        StopSignal.COMPLETE: StopState.COMPLETED,
        StopSignal.PART: StopState.PARTIAL,
        **_OVER,
    },
    StopState.TIMED_OUT: {**_WORDS, **_OVER},  # late word is better than none
    StopState.PARTIAL: {StopSignal.COMPLETE: StopState.COMPLETED, **_OVER},
    StopState.COMPLETED: _OVER,
    StopState.RELEASED: {},
}
"""State → signal → next state. What is not here changes nothing: words may come twice or late."""

UNSETTLED: Final = frozenset({StopState.REQUESTED, StopState.DISPATCHED, StopState.ACKNOWLEDGED})


@dataclass(frozen=True, slots=True)
class Stop:
    """An order to stop one session."""

    id: str
    user: str
    session: str
    state: StopState
    mode: StopMode
    reason: str
    requested_by: str  # `rule:<name>` or `user:<id>`
    requested_at: datetime
    deadline_at: datetime | None = None  # for an executor's first word; our clock
    executor: str | None = None
    settled_at: datetime | None = None
    released_by: str | None = None
    release_reason: str | None = None


def stop_id(user: str, session: str, key: str) -> str:
    """Return the id of the stop that ``key`` (idempotency key or alert id) asks for."""
    return make_id(user, session, "stop", key)


def move(stop: Stop, signal: StopSignal, now: datetime, *, ack_deadline_s: float) -> Stop:
    """Return ``stop`` after ``signal``; unchanged where the table has no such entry."""
    target = STOP_TRANSITIONS[stop.state].get(signal)
    if target is None:
        return stop
    deadline = now + timedelta(seconds=ack_deadline_s) if signal is StopSignal.DISPATCH else None
    settled = now if target in (StopState.COMPLETED, StopState.PARTIAL) else stop.settled_at
    return replace(stop, state=target, deadline_at=deadline, settled_at=settled)


def order_of(stop: Stop) -> EmergencyStop:
    """Return the message that tells the user and the executors to stop."""
    return EmergencyStop(
        id=make_id(stop.id, "order"),
        timestamp=stop.requested_at,
        user_id=stop.user,
        session_id=stop.session,
        stop_id=stop.id,
        mode=stop.mode,
        reason=stop.reason,
        requested_by=stop.requested_by,
    )


def unconfirmed_of(stop: Stop, now: datetime, *, ack_deadline_s: float) -> RiskAlert:
    """Return the alert that no executor answered ``stop`` in time."""
    return RiskAlert(
        id=make_id(stop.id, "unconfirmed"),
        timestamp=now,
        user_id=stop.user,
        session_id=stop.session,
        alert_level="emergency",
        alert_type="stop_unconfirmed",
        message=f"No executor answered the emergency stop ({stop.mode}) within "
        f"{ack_deadline_s:g} s. Check the positions yourself.",
        current_value=round((now - stop.requested_at).total_seconds(), 3),
        threshold=ack_deadline_s,
    )
