"""What preferences keep back, and how often a quote is told."""

from datetime import UTC, datetime, time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.contracts import MinimumLevels, Preferences, QuietHours
from tapewire.edge.connection.preferences import hides_of, is_quiet
from tapewire.edge.live.pace import Pace
from tapewire.edge.transport.frames import Message

TYPES = [
    "risk_alert",
    "volatility_alert",
    "system_notification",
    "performance_milestone",
    "algorithm_decision",
    "trade_executed",
    "position_update",
    "session_started",
    "session_completed",
    "emergency_stop",
    "",
]
NIGHT = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LEVELS = st.sampled_from(["info", "warning", "critical"])
ANY = st.builds(
    Preferences,
    minimum_levels=st.builds(
        MinimumLevels, risk_alert=LEVELS, volatility_alert=LEVELS, system_notification=LEVELS
    ),
    muted=st.lists(
        st.sampled_from(["algorithm_decision", "trade_executed", "performance_milestone"]),
        max_size=16,
    ).map(tuple),
    quiet_hours=st.builds(QuietHours, enabled=st.booleans(), start=st.times(), end=st.times()),
)


def hidden(preferences, now=NOON):
    hides = hides_of(preferences, lambda: now)
    return lambda type, level: hides is not None and hides(type, level)


def test_the_default_keeps_nothing_back_and_costs_nothing():
    assert hides_of(Preferences(), lambda: NIGHT) is None


@given(ANY, st.datetimes().map(lambda at: at.replace(tzinfo=UTC)))
def test_no_preference_ever_hides_what_is_critical_or_a_sessions_state(preferences, now):
    hides = hidden(preferences, now)
    for type in TYPES:
        assert not hides(type, "critical")
        assert not hides(type, "emergency")
    for type in ("session_started", "session_completed", "position_update", "emergency_stop", ""):
        assert not hides(type, "updated")


@pytest.mark.parametrize(
    ("levels", "type", "level", "expected"),
    [
        ({"risk_alert": "critical"}, "risk_alert", "warning", True),
        ({"risk_alert": "critical"}, "volatility_alert", "warning", False),
        ({"risk_alert": "warning"}, "risk_alert", "warning", False),
        ({"system_notification": "warning"}, "system_notification", "info", True),
        ({"system_notification": "warning"}, "system_notification", "warning", False),
    ],
)
def test_what_is_below_its_types_level_is_hidden(levels, type, level, expected):
    assert hidden(Preferences(minimum_levels=MinimumLevels(**levels)))(type, level) is expected


def test_what_is_muted_is_hidden():
    hides = hidden(Preferences(muted=("trade_executed",)))
    assert hides("trade_executed", "executed")
    assert not hides("algorithm_decision", "buy")


def test_quiet_hours_hide_notifications_and_nothing_else():
    preferences = Preferences(quiet_hours=QuietHours(enabled=True))
    at_night = hidden(preferences, NIGHT)
    assert at_night("risk_alert", "warning")
    assert at_night("performance_milestone", "reached")
    assert not at_night("algorithm_decision", "buy")
    assert not hidden(preferences, NOON)("risk_alert", "warning")


@pytest.mark.parametrize(
    ("start", "end", "zone", "at", "expected"),
    [
        (time(22), time(7), "UTC", NIGHT, True),
        (time(22), time(7), "UTC", NIGHT.replace(hour=7, minute=0), False),
        (time(22), time(7), "UTC", NIGHT.replace(hour=6, minute=59), True),
        (time(9), time(17), "UTC", NOON, True),
        (time(9), time(17), "UTC", NIGHT, False),
        (time(22), time(7), "America/New_York", NIGHT, False),  # half past six there
        (time(22), time(7), "Asia/Tokyo", NIGHT, False),  # half past eight, the next day
        (time(0), time(0), "UTC", NOON, True),
    ],
)
def test_quiet_hours_go_by_the_users_clocks(start, end, zone, at, expected):
    quiet = QuietHours(enabled=True, start=start, end=end, time_zone=zone)
    assert is_quiet(quiet, at) is expected


def test_a_pace_tells_the_first_at_once_and_then_the_newest_at_each_turn():
    pace, first, second, third = Pace(2), Message(b"1"), Message(b"2"), Message(b"3")
    assert pace.offer("market:SPY", first, 10.0) == 0.0
    assert pace.take(10.0) == {"market:SPY": first}
    assert pace.offer("market:SPY", second, 10.1) == pytest.approx(0.4)
    assert pace.offer("market:SPY", third, 10.2) is None
    assert pace.offer("market:QQQ", first, 10.3) is None
    assert pace.take(10.5) == {"market:SPY": third, "market:QQQ": first}
    assert pace.offer("market:SPY", first, 12.0) == 0.0


@given(
    st.floats(0.2, 20),
    st.lists(st.tuples(st.sampled_from(["SPY", "QQQ"]), st.floats(0, 0.3)), max_size=60),
)
def test_a_pace_is_never_passed_and_never_loses_the_newest(rate, steps):
    pace, now, due_at, told, newest = Pace(rate), 100.0, None, {}, {}
    for number, (symbol, gap_s) in enumerate(steps):
        while due_at is not None and due_at <= now + gap_s:
            for topic, message in pace.take(due_at).items():
                told.setdefault(topic, []).append((due_at, message))
            due_at = None
        now += gap_s
        newest[symbol] = message = Message(b"%d" % number)
        delay_s = pace.offer(symbol, message, now)
        due_at = now + delay_s if delay_s is not None else due_at
    if due_at is not None:
        for topic, message in pace.take(due_at).items():
            told.setdefault(topic, []).append((due_at, message))
    for topic, said in told.items():
        assert said[-1][1] is newest[topic]
        times = [at for at, _ in said]
        assert all(b - a >= 1 / rate - 1e-9 for a, b in pairwise(times))
    assert set(told) == set(newest)
