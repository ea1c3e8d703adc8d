"""The pace at which a drain lets connections go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.edge.connection.leaving import SPREAD_S, UNDER_WAY, Leaving
from tapewire.edge.settings import EdgeSettings


@pytest.mark.parametrize(
    ("connections", "window_s"),
    [(1, 0.004), (100, 0.4), (5000, 20.0), (7500, 30.0), (20_000, 30.0)],
)
def test_window_grows_with_the_connections_up_to_its_limit(connections, window_s):
    assert Leaving(connections, per_s=250, at_most_s=30).window_s == pytest.approx(window_s)


def test_closes_keep_to_the_rate():
    leaving = Leaving(5000, per_s=250, at_most_s=30)
    assert [leaving.due(s, 0, 0) for s in (0.0, 0.02, 0.1)] == [0, 5, 25]
    assert leaving.due(10.0, 2495, 0) == 5
    assert leaving.due(10.0, 2500, 0) == 0


def test_nobody_is_closed_while_the_broker_has_too_many_trays_to_take_back():
    leaving = Leaving(5000, per_s=250, at_most_s=30)
    assert leaving.due(10.0, 0, UNDER_WAY) == 0
    assert leaving.due(10.0, 0, UNDER_WAY + 1) == 0
    assert leaving.due(10.0, 0, UNDER_WAY - 1) == 1


def test_all_are_closed_in_the_end_whatever_the_broker_does():
    assert Leaving(5000, per_s=250, at_most_s=30).due(30.0, 4000, 10_000) == 1000


def test_clients_are_not_asked_to_stay_away_longer_than_the_drain_or_a_moment():
    assert Leaving(5, per_s=250, at_most_s=30).spread_s == pytest.approx(0.02)
    assert Leaving(5000, per_s=250, at_most_s=30).spread_s == SPREAD_S
    assert Leaving(5000, per_s=250, at_most_s=0).spread_s == 0


@given(
    connections=st.integers(1, 20_000),
    per_s=st.floats(1, 10_000),
    at_most_s=st.floats(0, 60),
    turns=st.lists(st.tuples(st.floats(0, 5), st.integers(0, 200)), max_size=60),
)
def test_a_drain_closes_each_once_and_ends_in_time(connections, per_s, at_most_s, turns):
    leaving = Leaving(connections, per_s, at_most_s)
    closed, elapsed_s = 0, 0.0
    for pause_s, under_way in [*turns, (at_most_s, 0)]:
        elapsed_s += pause_s
        due = leaving.due(elapsed_s, closed, under_way)
        assert due >= 0
        closed += due
        assert closed <= connections
    assert closed == connections


@pytest.mark.parametrize(
    ("timeout_s", "window_s", "expected_s"), [(40, 30, 30), (20, 30, 15), (40, 2, 2)]
)
def test_closing_leaves_time_to_give_back_the_last_trays(timeout_s, window_s, expected_s):
    settings = EdgeSettings(drain_timeout_s=timeout_s, edge_drain_window_s=window_s)
    assert settings.drain_window_s == expected_s
