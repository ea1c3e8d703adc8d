from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.risk.episode import (
    TRANSITIONS,
    Delay,
    Episode,
    IllegalTransition,
    Level,
    Policy,
    Reading,
    Run,
    Signal,
    State,
    due,
    observe,
    step,
)

T0 = datetime(2025, 3, 3, 14, 30, tzinfo=UTC)
POLICY = Policy(75, 90, 100, 10, Delay(2, 60), Delay(2, 60), cool_down_s=60)
PAIRS = [(s, signal) for s in State if s is not State.HELD for signal in Signal]


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def run(*values: float | None, every_s: float = 1, policy: Policy = POLICY, mark: bool = True):
    """Feed marks, one each ``every_s``; return the episode and the alarms' levels."""
    episode, levels = Episode(), []
    for n, value in enumerate(values):
        episode, alarms = observe(episode, Reading(at(n * every_s), value, mark=mark), policy)
        levels += [alarm.level for alarm in alarms]
    return episode, levels


W, C, E = Level.WARNING, Level.CRITICAL, Level.EMERGENCY


@pytest.mark.parametrize(("state", "signal"), PAIRS)
def test_every_pair_follows_the_table_or_changes_nothing(state: State, signal: Signal):
    held = State.WARNING if state is State.UNKNOWN else None
    before = Episode(state, 3, T0, 80.0, held, Run(1, T0))
    target = TRANSITIONS[state].get(signal)
    if target is None:
        with pytest.raises(IllegalTransition):
            step(before, signal, at(1))
        return
    after = step(before, signal, at(1))
    assert after.state is (State.WARNING if target is State.HELD else target)
    assert after.since == at(1)
    assert after.run is None
    assert after.number == before.number + (signal is Signal.ONSET)
    assert after.held is (state if after.state is State.UNKNOWN else None)


def test_every_state_can_be_reached_and_left():
    targets = {t for row in TRANSITIONS.values() for t in row.values()}
    assert set(State) - targets == set()
    assert all(TRANSITIONS[state] for state in State if state is not State.HELD)


def test_emergency_hears_only_a_release():
    assert set(TRANSITIONS[State.EMERGENCY]) == {Signal.RELEASE}


def test_crossing_the_levels_one_by_one_raises_each_once():
    episode, levels = run(50, 76, 77, 91, 92, 101, 102, 150)
    assert levels == [W, C, E]
    assert episode.state is State.EMERGENCY


def test_one_mark_a_level_still_raises_each_once():
    assert run(50, 80, 95, 105)[1] == [W, C, E]


def test_jump_past_the_limit_is_an_emergency_at_the_second_mark():
    assert run(10, 120)[1] == []
    assert run(10, 120, 121)[1] == [E]


def test_one_wild_mark_is_no_alarm():
    episode, levels = run(10, 120, 10, 130, 10)
    assert levels == []
    assert episode.state is State.NORMAL


def test_clock_confirms_a_single_mark_after_the_on_delay():
    episode, _ = observe(Episode(), Reading(T0, 95, mark=True), POLICY)
    assert due(episode, POLICY) == at(60)
    early, none = observe(episode, Reading(at(59), 95), POLICY)
    assert (early.state, none) == (State.PENDING, [])
    late, alarms = observe(episode, Reading(at(60), 95), POLICY)
    assert late.state is State.CRITICAL
    assert [a.level for a in alarms] == [C]


def test_looks_at_the_clock_are_no_marks():
    episode, levels = run(95, 95, 95, 95, mark=False)
    assert (episode.state, levels) == (State.PENDING, [])


def test_level_falls_one_at_a_time_and_only_past_the_deadband():
    episode, _ = run(76, 76, 91, 91)
    states = []
    for n, value in enumerate([85, 81, 79, 79, 70, 64, 64, 10]):
        episode, alarms = observe(episode, Reading(at(10 + n), value, mark=True), POLICY)
        assert alarms == []
        states.append(episode.state)
    assert states == [
        State.CRITICAL,
        State.CRITICAL,
        State.CRITICAL,
        State.WARNING,
        State.WARNING,
        State.WARNING,
        State.RESOLVED,
        State.NORMAL,
    ]


def test_a_mark_above_the_line_starts_the_off_delay_anew():
    episode, _ = run(76, 76, 64, 70, 64)
    assert episode.state is State.WARNING


def test_repeat_waits_for_the_cool_down_and_is_not_forgotten():
    episode, levels = run(76, 76, 60, 60, 10, 80, 80)
    assert levels == [W]
    assert (episode.state, episode.number, episode.owed) == (State.WARNING, 2, True)
    assert due(episode, POLICY) == at(61)
    episode, alarms = observe(episode, Reading(at(61), 80), POLICY)
    assert [(a.level, a.episode, a.nth) for a in alarms] == [(W, 2, 1)]
    assert not episode.owed


def test_escalation_ignores_the_cool_down():
    assert run(76, 76, 60, 60, 10, 80, 95)[1] == [W, C]


def test_latched_emergency_rises_again_after_release_without_cool_down():
    episode, _ = run(120, 120)
    episode = step(episode, Signal.RELEASE, at(3))
    alarms = []
    for n in (4, 5):
        episode, raised = observe(episode, Reading(at(n), 120, mark=True), POLICY)
        alarms += raised
    assert [(a.level, a.episode) for a in alarms] == [(E, 2)]


def test_unknown_neither_escalates_nor_resolves_and_returns_to_what_was_held():
    episode, _ = run(76, 76)
    episode, alarms = observe(episode, Reading(at(100), 76, stale=True), POLICY)
    assert episode.state is State.UNKNOWN
    assert [a.level for a in alarms] == [Level.NONE]
    for n, value in enumerate((120, 0)):
        episode, alarms = observe(episode, Reading(at(101 + n), value, stale=True), POLICY)
        assert (episode.state, alarms) == (State.UNKNOWN, [])
    episode, alarms = observe(episode, Reading(at(110), 76, mark=True), POLICY)
    assert (episode.state, alarms) == (State.WARNING, [])


def test_fresh_value_after_silence_escalates_at_once_where_the_alarm_stands():
    episode, _ = run(76, 76)
    episode, _ = observe(episode, Reading(at(100), 76, stale=True), POLICY)
    episode, alarms = observe(episode, Reading(at(110), 105, mark=True), POLICY)
    assert [a.level for a in alarms] == [E]


def test_silence_does_not_count_towards_the_on_delay():
    episode, _ = run(120)
    episode, _ = observe(episode, Reading(at(100), 120, stale=True), POLICY)
    episode, alarms = observe(episode, Reading(at(500), 120, mark=True), POLICY)
    assert (episode.state, alarms) == (State.PENDING, [])


def test_closing_ends_everything_but_the_latch():
    for values, end in [((76,), State.NORMAL), ((76, 76), State.RESOLVED)]:
        episode, _ = run(*values)
        assert observe(episode, Reading(at(9), None, closed=True), POLICY)[0].state is end
    latched, _ = run(120, 120)
    assert observe(latched, Reading(at(9), None, closed=True), POLICY)[0].state is State.EMERGENCY


values = st.one_of(st.none(), st.floats(0, 160, allow_nan=False))
readings = st.lists(st.tuples(values, st.floats(0, 200), st.booleans(), st.booleans()), max_size=60)


@given(readings)
def test_same_readings_give_the_same_alarms(steps):
    def play():
        episode, now, alarms = Episode(), T0, []
        for value, gap, mark, stale in steps:
            now += timedelta(seconds=gap)
            episode, raised = observe(episode, Reading(now, value, mark, stale), POLICY)
            alarms += raised
        return episode, alarms

    assert play() == play()


@given(readings)
def test_alarms_are_unique_and_an_emergency_needs_a_value_past_the_limit(steps):
    episode, now, seen = Episode(), T0, set()
    for value, gap, mark, stale in steps:
        now += timedelta(seconds=gap)
        before = episode
        episode, alarms = observe(episode, Reading(now, value, mark, stale), POLICY)
        for alarm in alarms:
            identity = (alarm.episode, alarm.level, alarm.nth)
            assert identity not in seen
            seen.add(identity)
            if alarm.level is E:
                assert value is not None
                assert value >= 100
                assert not stale
        if before.state is State.EMERGENCY:
            assert episode == replace(before, value=episode.value)
        if stale and before.state is State.UNKNOWN:
            assert episode.state is State.UNKNOWN
