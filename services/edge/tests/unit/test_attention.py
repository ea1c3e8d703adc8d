"""Silence counts only against who was listened to."""

import pytest

from tapewire.edge.runtime.attention import BREAK_S, Attention

TICK_S, GRACE_S = 0.25, 10.0


def test_turns_on_time_are_no_break():
    attention = Attention(TICK_S, 100.0)
    assert [attention.turn(100.0 + n * TICK_S) for n in range(1, 9)] == [0.0] * 8
    assert attention.turn(102.0 + TICK_S + BREAK_S) == 0.0
    assert attention.since == 100.0


def test_a_late_turn_is_a_break_and_tells_by_how_much():
    attention = Attention(TICK_S, 100.0)
    attention.turn(100.25)
    assert attention.turn(160.5) == pytest.approx(60.0)
    assert attention.since == 160.5


def test_who_was_listened_to_is_judged_at_the_deadline():
    attention = Attention(TICK_S, 0.0)
    for n in range(1, 161):
        attention.turn(n * TICK_S)
        assert attention.has_passed(40.0, GRACE_S) is (n == 160)
    assert attention.passes_at(40.0, GRACE_S) == 40.0


def test_after_a_break_nobody_is_judged_before_the_grace_was_listened_to():
    attention = Attention(TICK_S, 0.0)
    attention.turn(90.0)
    assert not attention.has_passed(40.0, GRACE_S)
    assert attention.passes_at(40.0, GRACE_S) == 100.0
    for n in range(1, 41):
        attention.turn(90.0 + n * TICK_S)
    assert attention.has_passed(40.0, GRACE_S)


def test_a_break_does_not_shorten_a_deadline_that_is_far():
    attention = Attention(TICK_S, 0.0)
    attention.turn(20.0)
    assert attention.passes_at(50.0, GRACE_S) == 50.0


def test_a_break_within_a_turn_counts_for_nobody():
    attention = Attention(TICK_S, 30.0)
    attention.turn(30.25)  # and then it stands still, before those that are due are looked at
    assert not attention.has_passed(40.0, GRACE_S)
    assert attention.turn(95.0) > 0
    assert not attention.has_passed(40.0, GRACE_S)
