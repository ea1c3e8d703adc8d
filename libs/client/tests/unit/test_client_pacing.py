"""Backoff and pace, with time and chance as arguments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.client.pacing import Backoff, Pace, refresh_after_s


@given(losses=st.integers(0, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_delay_is_a_share_of_a_doubling_ceiling(losses: int, chance: float) -> None:
    ceiling = min(20.0, 0.5 * 2 ** min(losses, 10))
    assert Backoff().delay_s(losses, lambda: chance) == pytest.approx(chance * ceiling)


def test_pace_lets_a_burst_through_and_then_one_at_a_time() -> None:
    pace = Pace(10, now=0.0)
    assert [pace.take(0.0) for _ in range(10)] == [0.0] * 10
    assert pace.take(0.0) == pytest.approx(0.1)
    assert pace.take(0.1) == pytest.approx(0.1)


def test_pace_forgets_a_long_pause() -> None:
    pace = Pace(2, now=0.0)
    assert [pace.take(3600.0) for _ in range(2)] == [0.0, 0.0]
    assert pace.take(3600.0) == pytest.approx(0.5)


@pytest.mark.parametrize(("expires_in_s", "after_s"), [(540, 480), (120, 60), (60, 30), (2, 1)])
def test_token_is_renewed_a_minute_or_half_its_life_before_its_end(
    expires_in_s: float, after_s: float
) -> None:
    assert refresh_after_s(expires_in_s) == after_s
