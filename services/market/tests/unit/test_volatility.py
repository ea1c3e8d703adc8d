import math
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.contracts import parse_event
from tapewire.market.bars import Bar
from tapewire.market.feeds.simulated import walk
from tapewire.market.volatility import (
    Ewma,
    Volatility,
    VolatilityPolicy,
    judge,
    measure,
    new_gauge,
)

T0 = datetime(2025, 3, 3, 14, 30, tzinfo=UTC)
POLICY = VolatilityPolicy()
# Not imported: it has pandas, which takes seconds, and each worker collects this module.
FOLDER = Path(find_spec("vega_datasets").origin).parent / "_data"


def bar(second: int, close: float) -> Bar:
    return Bar(T0 + timedelta(seconds=second), close, close, close, close, 0, 1)


def closes(returns: list[float]) -> list[float]:
    return list(100 * np.exp(np.cumsum([0.0, *returns])))


def play(returns, policy=POLICY):
    gauge, raised = new_gauge(policy), []
    for second, close in enumerate(closes(returns)):
        gauge, level = judge(measure(gauge, bar(second, close), policy), policy)
        if level is not None:
            raised.append((second, level[0]))
    return gauge, raised


def test_ewma_agrees_with_pandas_on_real_prices():
    import pandas as pd

    prices = pd.read_csv(FOLDER / "stocks.csv")
    for _, series in prices.groupby("symbol"):
        returns = np.log(series["price"]).diff().dropna()
        expected = np.sqrt((returns**2).ewm(halflife=6, adjust=True).mean())
        mean = Ewma(6)
        for value, sigma in zip(returns, expected, strict=True):
            mean = mean.add(value)
            assert mean.sigma == pytest.approx(sigma, rel=1e-9)


@given(st.lists(st.floats(-0.01, 0.01), min_size=1, max_size=50), st.integers(1, 20))
def test_passing_by_is_adding_zeros(values, steps):
    one = two = Ewma(10)
    for value in values:
        one, two = one.add(value), two.add(value)
    for _ in range(steps):
        one = one.add(0)
    assert two.pass_by(steps).sigma == pytest.approx(one.sigma, rel=1e-9, abs=1e-15)


def test_seconds_without_a_bar_had_no_return():
    dense, sparse = new_gauge(POLICY), new_gauge(POLICY)
    for second, close in [(0, 100.0), (1, 101.0), (2, 101.0), (3, 101.0), (4, 102.0)]:
        dense = measure(dense, bar(second, close), POLICY)
        if second in (0, 1, 4):
            sparse = measure(sparse, bar(second, close), POLICY)
    assert sparse.fast.sigma == pytest.approx(dense.fast.sigma)
    assert sparse.seen_s == dense.seen_s == 4


def noise(sigma: float, seconds: int, seed: int = 1) -> list[float]:
    return list(np.random.default_rng(seed).normal(0, sigma, seconds))


def test_steady_noise_raises_nothing():
    assert play(noise(0.001, 1200))[1] == []


def test_a_storm_rises_level_by_level_and_each_is_told_once():
    calm, storm = noise(0.0005, 600), noise(0.004, 120, seed=2)
    _, raised = play(calm + storm)
    levels = [level for _, level in raised]
    assert levels == sorted(set(levels), key=["warning", "critical", "emergency"].index)
    assert raised[0][0] >= 600 + POLICY.on_delay_s


def test_calm_arms_the_alarm_again():
    calm, storm = noise(0.0005, 900), noise(0.004, 60, seed=2)
    _, raised = play(calm + storm + calm + storm)
    second = [at for at, _ in raised if at > 1860]
    assert second


def test_one_second_of_fright_is_no_alarm():
    returns = noise(0.0005, 600)
    returns[400] = 0.004
    _, raised = play(returns)
    assert raised == []


def test_nothing_is_told_before_it_is_warm():
    _, raised = play(noise(0.0001, 30) + noise(0.01, 60, seed=2))
    assert raised == []


def test_alert_is_a_message_for_everyone_who_watches_the_symbol():
    volatility, alerts = Volatility(POLICY), []
    for second, close in enumerate(closes(noise(0.0005, 600) + noise(0.004, 60, seed=2))):
        if (alert := volatility.add("BTC-USD", bar(second, close))) is not None:
            alerts.append(alert)
    first = parse_event(alerts[0].model_dump(by_alias=True, exclude_none=True))
    assert (first.user_id, first.symbol) == (None, "BTC-USD")
    assert first.current_value >= first.threshold >= 1.5


def test_simulation_is_the_same_for_the_same_seed_and_moves_like_a_market():
    import pandas as pd

    one, two, other = walk("SPY", 7), walk("SPY", 7), walk("SPY", 8)
    first = [next(one) for _ in range(20_000)]
    assert first == [next(two) for _ in range(20_000)]
    assert first != [next(other) for _ in range(20_000)]
    assert all(0 < bid <= last <= ask for last, bid, ask, _ in first)
    returns = pd.Series([math.log(b[0] / a[0]) for a, b in pairwise(first)])
    assert returns.kurt() > 3  # fat tails: regimes and jumps
    assert abs(returns).max() < 0.2  # and none that the sieve would take for a fault
