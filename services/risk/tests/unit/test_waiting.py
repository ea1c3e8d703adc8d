from datetime import UTC, datetime, timedelta

import pytest

from tapewire.risk.waiting import Waiting

T0 = datetime(2025, 3, 3, 14, 30, tzinfo=UTC)
DEADLINE_S = 5.0


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@pytest.fixture
def waiting() -> Waiting:
    """One that has looked, and found nothing, at the steady second 100."""
    one = Waiting(DEADLINE_S)
    assert one.overdue({}, wall=T0, steady=100.0) == []
    return one


@pytest.mark.parametrize("set_by_s", [3600, 0, -3600])
def test_a_clock_that_is_set_makes_the_deadline_neither_early_nor_late(waiting, set_by_s):
    stops = {"s": at(5.2)}  # dispatched at 0.2 by the right time
    assert waiting.overdue(stops, wall=at(0.5 + set_by_s), steady=100.5) == []
    assert waiting.overdue(stops, wall=at(4.9 + set_by_s), steady=104.9) == []
    assert waiting.overdue(stops, wall=at(5.5 + set_by_s), steady=105.5) == ["s"]


def test_a_clock_that_is_set_between_two_looks_changes_nothing(waiting):
    stops = {"s": at(5.2)}
    assert waiting.overdue(stops, wall=at(0.5), steady=100.5) == []
    assert waiting.overdue(stops, wall=at(3600), steady=103.0) == []
    assert waiting.overdue(stops, wall=at(-3600), steady=105.3) == ["s"]


def test_after_a_restart_the_stored_deadline_counts():
    stops = {"half over": at(2.5), "over": at(-60), "by a clock that was ahead": at(3600)}
    began = Waiting(DEADLINE_S)
    assert began.overdue(stops, wall=T0, steady=7.0) == ["over"]
    assert began.overdue(stops, wall=at(2.4), steady=9.4) == ["over"]
    assert began.overdue(stops, wall=at(2.5), steady=9.5) == ["half over", "over"]
    assert began.overdue(stops, wall=at(5), steady=12.0) == list(stops)


def test_what_appears_after_a_long_time_without_a_look_is_judged_by_its_stored_deadline(waiting):
    assert waiting.overdue({"s": at(-1)}, wall=T0, steady=160.0) == ["s"]


def test_who_was_answered_is_forgotten(waiting):
    stops = {"s": at(5)}
    assert waiting.overdue(stops, wall=T0, steady=100.0) == []
    assert waiting.overdue({}, wall=at(3), steady=103.0) == []
    assert waiting.overdue(stops, wall=at(6), steady=106.0) == []  # anew, at 103 or later
    assert waiting.overdue(stops, wall=at(8), steady=108.0) == ["s"]
