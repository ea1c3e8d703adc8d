"""What must not wait for other events: alarms that are about to be raised, and the rare ones."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tapewire.contracts import SessionMetrics, SessionStarted, SessionStatus
from tapewire.risk.outlook import Outlook
from tapewire.risk.session import Limits, Session
from tapewire.risk.watch import Watch

T0 = datetime(2025, 3, 3, 14, 30, tzinfo=UTC)


def mark(loss: int, *, session: str = "s-1", at: int = 0) -> SessionStatus:
    return SessionStatus(
        id=f"{session}-{loss}-{at}",
        timestamp=T0 + timedelta(seconds=at),
        user_id="ada",
        session_id=session,
        status="active",
        data=SessionMetrics(current_pnl=Decimal(-loss), total_trades=1),
    )


def outlook(*sessions: str, kept: int = 10) -> Outlook:
    made = Outlook(Watch(Limits(loss=Decimal(100))), kept=kept)
    made.remember(Session("ada", name) for name in sessions)
    return made


def test_a_mark_that_raises_nothing_may_wait():
    assert not outlook("s-1").is_urgent(mark(20), T0)


def test_the_mark_that_confirms_an_alarm_is_urgent_though_the_one_before_is_not_committed():
    seen = outlook("s-1")
    assert not seen.is_urgent(mark(95), T0)  # one wild mark is no alarm
    assert seen.is_urgent(mark(95, at=1), T0)


def test_what_is_committed_counts_and_not_what_was_seen():
    seen = outlook("s-1")
    assert not seen.is_urgent(mark(95), T0)
    seen.remember([Session("ada", "s-1")])
    assert not seen.is_urgent(mark(95, at=1), T0)


def test_a_session_that_is_not_known_may_be_about_to_raise_an_alarm():
    assert outlook("s-1").is_urgent(mark(20, session="s-2"), T0)


def test_what_is_rare_does_not_wait():
    started = SessionStarted(
        id="1", timestamp=T0, user_id="ada", session_id="s-1", algorithm_id="a-1"
    )
    assert outlook("s-1").is_urgent(started, T0)


def test_the_sessions_heard_of_last_are_remembered():
    seen = outlook("s-1", "s-2", kept=2)
    seen.remember([Session("ada", "s-1")])
    seen.remember([Session("ada", "s-3")])
    assert seen.is_urgent(mark(20, session="s-2"), T0)
    assert not seen.is_urgent(mark(20, session="s-1"), T0)
