from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.contracts import SessionMetrics, SessionStatus, new_id
from tapewire.risk.alerts import acknowledge, alert_of
from tapewire.risk.episode import Delay, Episode, Level, Policy, Reading, Signal, State, observe
from tapewire.risk.episode import step as move
from tapewire.risk.repeats import NO_REPEATS, Repeats, repeat, repeat_at
from tapewire.risk.session import Limits, Session, hear
from tapewire.risk.watch import Watch, due_at, judge, release, remind

T0 = datetime(2025, 3, 3, 14, 30, tzinfo=UTC)
POLICY = Policy(75, 90, 100, 10, Delay(2, 60), Delay(2, 60), cool_down_s=60)
REPEATS = Repeats(critical_s=300, emergency_s=60, most=5)
WATCH = Watch(Limits(), stale_after_s=1e9, repeats=REPEATS)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def standing(level: float, *, since: float = 0) -> Episode:
    """An episode that reached ``level`` per cent, told at ``since`` by our clock."""
    episode = Episode()
    for n in range(2):
        reading = Reading(at(n), level, mark=True, now=at(since))
        episode, _ = observe(episode, reading, POLICY)
    return episode


def moments(episode: Episode, repeats: Repeats = REPEATS) -> list[float]:
    """When, in seconds, an alarm is repeated that nobody acknowledges, looked at on time."""
    found = []
    while (due := repeat_at(episode, POLICY, repeats)) is not None:
        found.append((due - T0).total_seconds())
        episode, alarm = repeat(episode, due, due)
        assert (alarm.repeat, alarm.nth) == (len(found), 1)
    return found


def test_an_emergency_is_repeated_after_a_minute_and_ever_more_rarely():
    assert moments(standing(120)) == [60, 180, 420, 900, 1860]


def test_a_critical_alarm_waits_five_minutes():
    assert moments(standing(95))[:2] == [300, 900]


def test_a_warning_is_never_repeated():
    assert moments(standing(80)) == []


@pytest.mark.parametrize("repeats", [NO_REPEATS, Repeats(0, 0, 5), Repeats(300, 60, 0)])
def test_repeating_can_be_turned_off(repeats: Repeats):
    assert moments(standing(120), repeats) == moments(standing(95), repeats) == []


def test_repeats_of_a_critical_alarm_obey_the_cool_down_and_emergencies_need_not():
    quick = Repeats(critical_s=10, emergency_s=10, most=1)
    assert moments(standing(95), quick) == [60]
    assert moments(standing(120), quick) == [10]


def test_what_is_told_again_after_a_repeat_cools_down_from_that():
    episode, _ = repeat(standing(95), at(300), at(300))
    for n, value in enumerate((70, 70, 95)):
        episode, alarms = observe(episode, Reading(at(301 + n), value, mark=True), POLICY)
    assert (episode.state, alarms, episode.owed) == (State.CRITICAL, [], True)
    assert repeat_at(episode, POLICY, REPEATS) is None  # nothing is told of this level yet
    episode, alarms = observe(episode, Reading(at(360), 95), POLICY)
    assert [(a.level, a.nth, a.repeat) for a in alarms] == [(Level.CRITICAL, 2, 0)]
    assert repeat_at(episode, POLICY, REPEATS) == at(660)


def test_after_a_long_absence_one_repeat_is_told_and_not_all_that_were_missed():
    episode, _ = repeat(standing(120), at(9000), at(9000))
    assert repeat_at(episode, POLICY, REPEATS) == at(9000 + 120)


def test_silence_of_the_producer_does_not_silence_the_alarm():
    episode, _ = observe(standing(95), Reading(at(50), None, stale=True), POLICY)
    assert episode.state is State.UNKNOWN
    assert moments(episode)[:1] == [300]
    episode, _ = observe(episode, Reading(at(90), 95, mark=True), POLICY)
    assert moments(episode)[:1] == [300]


def test_a_release_ends_it():
    assert moments(move(standing(120), Signal.RELEASE, at(5))) == []


def losing(per_cent: float) -> Session:
    """A session past its limit, told at T0 by our clock, a year later than its own time."""
    session = Session("alice", "s-17")
    for n in range(2):
        data = SessionMetrics(current_pnl=-1, loss_limit_utilization=per_cent)
        stamp = T0 - timedelta(days=365) + timedelta(seconds=n)
        event = SessionStatus(
            id=new_id(), timestamp=stamp, user_id="alice", session_id="s-17", data=data
        )
        heard, mark = hear(session, event, T0)
        session, _ = judge(heard, heard.at or T0, WATCH, now=T0, mark=mark)
    return session


def test_the_wait_counts_on_our_clock_and_the_clock_is_looked_at_then():
    session = losing(120)
    assert due_at(session, WATCH) == at(60)
    assert remind(session, T0, WATCH, now=at(59.9))[1] == []
    after, (again,) = remind(session, session.at, WATCH, now=at(60))
    assert again.words.startswith("Not acknowledged: ")
    assert due_at(after, WATCH) == at(180)
    assert remind(after, session.at, WATCH, now=at(60))[1] == []  # a second process looks too


def test_a_latched_emergency_of_a_completed_session_is_repeated_too():
    session = replace(losing(120), status="completed")
    assert due_at(session, WATCH) == at(60)
    assert due_at(release(session, at(1))[0], WATCH) is None


def test_an_acknowledgement_of_any_telling_ends_it():
    session = losing(120)
    (first,) = (alert_of(session, raised) for raised in _raised(120))
    repeated, (again,) = remind(session, session.at, WATCH, now=at(60))
    second = alert_of(repeated, again)
    assert (first.episode_id, second.repeat) == (second.episode_id, 1)
    assert first.id != second.id
    for id_ in (first.id, second.id):
        after = acknowledge(repeated, [id_, "another"])
        assert due_at(after, WATCH) is None
        assert remind(after, session.at, WATCH, now=at(9999))[1] == []
    assert acknowledge(repeated, ["another"]) is repeated


def _raised(per_cent: float):
    """What the first alarm of such a session was."""
    session = losing(per_cent)
    quiet = replace(session, episodes={})
    raised = []
    for _ in range(2):
        quiet, alarms = judge(quiet, session.at, WATCH, now=T0, mark=True)
        raised += alarms
    return raised


def test_an_acknowledged_critical_alarm_that_escalates_asks_anew():
    session = losing(95)
    (first,) = (alert_of(session, raised) for raised in _raised(95))
    session = acknowledge(session, [first.id])
    assert remind(session, session.at, WATCH, now=at(9999))[1] == []
    worse = replace(session, utilization=120.0)
    after, alarms = judge(worse, session.at, WATCH, now=at(7), mark=True)
    assert [alarm.alarm.level for alarm in alarms] == [Level.EMERGENCY]
    assert due_at(after, WATCH) == at(67)


steps = st.lists(
    st.tuples(
        st.sampled_from(("mark", "look", "ack", "stale")),
        st.floats(0, 130, allow_nan=False),
        st.floats(0, 1000),
    ),
    max_size=60,
)


@given(steps)
def test_whatever_happens_repeats_are_few_and_only_of_what_stands_unacknowledged(steps):
    episode, now, seen, last = Episode(), T0, set(), None
    for what, value, gap in steps:
        now += timedelta(seconds=gap)
        before = episode
        if what == "ack":
            if episode.told is not None:
                episode = replace(episode, told=replace(episode.told, acked=True))
            continue
        if what == "look":
            due = repeat_at(episode, POLICY, REPEATS)
            if due is None or due > now:
                continue
            assert not before.told.acked
            episode, alarm = repeat(episode, now, now)
            assert alarm.level == _level(episode) >= Level.CRITICAL
            assert now - last >= timedelta(seconds=60)
            tellings = [alarm]
            repeated = replace(episode, told=before.told, raised=before.raised)
            assert repeated == before  # a repeat moves nothing
        else:
            reading = Reading(now, value, mark=what == "mark", stale=what == "stale", now=now)
            episode, tellings = observe(episode, reading, POLICY)
        for told in tellings:
            identity = (told.episode, told.level, told.nth, told.repeat)
            assert identity not in seen
            assert told.repeat <= REPEATS.most
            seen.add(identity)
            last = now if told.level >= Level.CRITICAL else last
        if episode.told is not None:
            assert episode.told.level == _level(episode)


def _level(episode: Episode) -> Level:
    """The level that stands, also while inputs are silent."""
    state = episode.held if episode.state is State.UNKNOWN else episode.state
    return Level[state.name] if state.name in Level.__members__ else Level.NONE
