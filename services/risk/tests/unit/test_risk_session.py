from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.contracts import (
    AlgorithmDecision,
    PositionUpdate,
    SessionCompleted,
    SessionMetrics,
    SessionStarted,
    SessionStatus,
    TradeExecuted,
    encode,
    parse_event,
    quality_of,
)
from tapewire.risk.alerts import alert_of, make_id
from tapewire.risk.episode import Level, State
from tapewire.risk.rows import episode_body, episode_of, session_body, session_of
from tapewire.risk.session import Limits, Session, hear
from tapewire.risk.watch import Watch, due_at, judge, release

T0 = datetime(2025, 3, 3, 14, 30, tzinfo=UTC)
NEW = Session("alice", "s-1")
WATCH = Watch(stale_after_s=120)
OWNER = {"user_id": "alice", "session_id": "s-1"}


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def started(seconds=0, **limits):
    return SessionStarted(id=f"start-{seconds}", timestamp=at(seconds), **OWNER, **limits)


def status(seconds, pnl, state="active", **more):
    data = SessionMetrics(current_pnl=Decimal(str(pnl)), **more)
    return SessionStatus(
        id=f"status-{seconds}", timestamp=at(seconds), **OWNER, status=state, data=data
    )


def trade(seconds, realized, fee=None):
    return TradeExecuted(
        id=f"trade-{seconds}",
        timestamp=at(seconds),
        **OWNER,
        symbol="SPY",
        side="sell",
        quantity=1,
        price=Decimal(500),
        order_id="o",
        realized_pnl=None if realized is None else Decimal(realized),
        fee=None if fee is None else Decimal(fee),
    )


def position(seconds, symbol, unrealized, quantity=1.0):
    return PositionUpdate(
        id=f"position-{seconds}",
        timestamp=at(seconds),
        **OWNER,
        symbol=symbol,
        quantity=quantity,
        unrealized_pnl=None if unrealized is None else Decimal(unrealized),
    )


def play(events, session=NEW, watch=WATCH):
    """Apply events as the service does; return the session and the alerts."""
    alerts = []
    for event in events:
        session, mark = hear(session, event, event.timestamp)
        session, raised = judge(session, session.at, watch, mark=mark)
        alerts += [alert_of(session, one) for one in raised]
    return session, alerts


def told(alerts):
    return [(a.alert_type, a.alert_level) for a in alerts]


def test_imposed_limits_go_before_announced_before_defaults():
    defaults = Limits(Decimal(1), 10)
    session = Session("u", "s", announced=Limits(Decimal(2)), imposed=Limits(None, 30))
    assert session.limits(defaults) == Limits(Decimal(2), 30)


def test_profit_is_told_or_summed_from_trades_and_positions():
    session, _ = play([trade(1, -100, fee=2), trade(2, None), trade(3, -50)])
    assert session.profit() == -152
    session, _ = play([position(4, "SPY", -30), position(5, "QQQ", 5)], session)
    assert session.profit() == -177
    session, _ = play([position(6, "SPY", None, quantity=0)], session)
    assert session.profit() == -147
    session, _ = play([status(7, -10)], session)
    assert session.profit() == -10
    session, _ = play([trade(8, -1000)], session)
    assert session.profit() == -10  # the producer tells P&L itself: nothing is counted twice


def test_starting_anew_forgets_the_figures_and_keeps_what_a_person_imposed():
    session, _ = play([started(loss_limit=Decimal(10)), status(1, -8), trade(2, -8)])
    imposed = Session("alice", "s-1", imposed=Limits(Decimal(5)), episodes=session.episodes)
    again, _ = play([started(10, loss_limit=Decimal(20))], imposed)
    assert again.profit() is None
    assert again.limits(Limits()).loss == 5


def test_a_profit_is_no_loss():
    _, alerts = play([started(loss_limit=Decimal(10)), *(status(n, 1000) for n in (1, 2, 3))])
    assert alerts == []


def test_time_never_runs_backwards():
    session, _ = play([started(10), status(5, -1)])
    assert session.at == at(10)


def test_events_that_tell_nothing_move_the_time_only():
    decision = AlgorithmDecision(
        id="d",
        timestamp=at(9),
        **OWNER,
        algorithm_id="a",
        decision="hold",
        reasoning="-",
        confidence=1,
    )
    session, mark = hear(NEW, decision, at(9))
    assert (session.at, mark, session.status) == (at(9), False, None)


def test_start_is_known_from_the_elapsed_time_where_nobody_told_it():
    session, _ = play([status(600, 0, time_elapsed=500)])
    assert session.started_at == at(100)


def test_age_is_judged_by_the_sessions_own_time():
    watch = Watch(Limits(time_s=1000))
    session, alerts = play([started(), status(799, 0), status(800, 0), status(960, 0)], watch=watch)
    assert told(alerts) == [("time_limit", "warning"), ("time_limit", "critical")]
    assert alerts[0].message == "Session age 0:13:20 is 80.0 % of the limit 0:16:40"
    wall = datetime(2026, 1, 1, tzinfo=UTC)  # the same events, told a year late
    late, _ = hear(session, status(970, 0), wall)
    assert late.time(wall + timedelta(seconds=5)) == at(975)
    assert due_at(late, watch) == wall + timedelta(seconds=30)


def test_a_stopped_session_does_not_age_but_can_lose():
    watch = Watch(Limits(Decimal(100), 10))
    events = [started(), *(status(n, -80, "emergency_stopped") for n in (1, 50))]
    _, alerts = play(events, watch=watch)
    assert told(alerts) == [("loss_limit", "warning")]


def test_due_is_the_next_moment_that_time_alone_can_change_something():
    watch = Watch(Limits(Decimal(100), 1000), stale_after_s=120)
    session, _ = play([started(), status(1, -80)], watch=watch)
    assert due_at(session, watch) == at(61)  # the on-delay
    session, _ = play([status(2, -80)], session, watch)
    assert due_at(session, watch) == at(122)  # silence
    unwatched, _ = play([started()])
    assert due_at(unwatched, WATCH) is None


def test_silence_is_told_once_and_only_of_active_sessions_with_a_limit():
    watch = Watch(Limits(Decimal(100)), stale_after_s=10)
    session, _ = play([started(), status(1, -5)], watch=watch)
    assert judge(session, at(10.9), watch)[1] == []
    assert judge(session, at(500), watch, blind=True)[1] == []
    silent, raised = judge(session, at(11), watch)
    alert = alert_of(silent, raised[0])
    assert (alert.alert_type, alert.alert_level) == ("data_stale", "warning")
    assert (alert.current_value, alert.threshold) == (10.0, 10.0)
    assert judge(silent, at(500), watch)[1] == []
    paused, _ = play([status(2, -5, "paused")], session, watch)
    assert judge(paused, at(500), watch)[1] == []


def test_release_opens_only_what_is_latched():
    watch = Watch(Limits(Decimal(100), 1000))
    session, _ = play([started(), status(1, -120), status(2, -120)], watch=watch)
    after, rules = release(session, at(3))
    assert rules == ["loss_limit"]
    assert after.episodes["loss_limit"].state is State.RESOLVED
    assert release(after, at(4)) == (after, [])


def test_completed_sessions_fall_due_no_more():
    watch = Watch(Limits(Decimal(100), 1000))
    end = SessionCompleted(id="e", timestamp=at(3), **OWNER)
    session, _ = play([started(), status(1, -80), status(2, -80), end], watch=watch)
    assert session.episodes["loss_limit"].state is State.RESOLVED
    assert due_at(session, watch) is None


def test_alerts_are_events_that_every_client_understands():
    events = [
        started(loss_limit=Decimal("1e3")),
        status(1, -760),
        status(2, -910),
        status(3, -2000),
    ]
    _, alerts = play(events)
    assert told(alerts) == [
        ("loss_limit", "warning"),
        ("loss_limit", "critical"),
        ("loss_limit", "emergency"),
    ]
    for alert in alerts:
        assert parse_event(encode(alert)).id == alert.id
    assert [quality_of(a).value for a in alerts] == ["recent", "critical", "critical"]


def test_ids_depend_on_every_part_and_on_nothing_else():
    assert make_id("a", "b", 1) == make_id("a", "b", 1) == "33ceb163-ce7e-5d2c-8bb2-48b4fb3e4b20"
    assert len({make_id("a", "b"), make_id("ab"), make_id("a,b"), make_id("a", "b", "")}) == 4


events = st.lists(
    st.one_of(
        st.builds(lambda p: ("status", p), st.integers(-1500, 500)),
        st.builds(lambda p: ("trade", p), st.integers(-200, 200)),
        st.builds(lambda p: ("position", p), st.integers(-900, 300)),
        st.just(("silence", 0)),
        st.just(("end", 0)),
        st.just(("start", 0)),
    ),
    max_size=40,
)


def tell(kind: str, value: int, seconds: int):
    match kind:
        case "status":
            return status(seconds, value)
        case "trade":
            return trade(seconds, value)
        case "position":
            return position(seconds, "SPY", value)
        case "start":
            return started(seconds, loss_limit=Decimal(1000), time_limit_s=600)
        case "end":
            return SessionCompleted(id=f"end-{seconds}", timestamp=at(seconds), **OWNER)
    return None


@given(events)
def test_replaying_a_story_gives_the_same_alerts_with_unique_ids(story):
    seconds, told_events = 0, []
    for kind, value in story:
        seconds += 200 if kind == "silence" else 7
        if (event := tell(kind, value, seconds)) is not None:
            told_events.append(event)
    first, alerts = play(told_events)
    again, same = play(told_events)
    assert (first, alerts) == (again, same)
    assert len({a.id for a in alerts}) == len(alerts)
    assert all(a.alert_level != "emergency" or a.current_value >= 100 for a in alerts)


@given(events)
def test_what_is_stored_between_events_is_all_that_matters(story):
    session, seconds, direct, stored = NEW, 0, [], []
    kept = NEW
    for kind, value in story:
        seconds += 200 if kind == "silence" else 7
        if (event := tell(kind, value, seconds)) is None:
            continue
        session, alerts = play([event], session)
        direct += alerts
        body = session_body(kept)
        back = {rule: episode_of(episode_body(one)) for rule, one in kept.episodes.items()}
        kept, alerts = play([event], replace(session_of(body), episodes=back))
        stored += alerts
    assert (direct, session) == (stored, kept)


@pytest.mark.parametrize("level", [Level.WARNING, Level.CRITICAL, Level.EMERGENCY])
def test_levels_compare(level):
    assert level > Level.NONE
