from hypothesis import given
from hypothesis import strategies as st

from tapewire.ingest.taken import Taken


def test_a_key_is_held_until_its_time_is_over():
    taken = Taken[str](keep=10, keep_s=60)
    taken.add("a", now=0)
    assert taken.holds("a", now=59.9)
    assert not taken.holds("a", now=60)


def test_the_oldest_is_forgotten_when_there_are_too_many():
    taken = Taken[str](keep=2, keep_s=60)
    for key in "abc":
        taken.add(key, now=0)
    assert [taken.holds(key, now=1) for key in "abc"] == [False, True, True]


def test_a_key_that_is_added_again_is_young_again():
    taken = Taken[str](keep=2, keep_s=60)
    for key in "abac":
        taken.add(key, now=0)
    assert [taken.holds(key, now=1) for key in "abc"] == [True, False, True]


def test_keeping_none_is_remembering_nothing():
    taken = Taken[str](keep=0, keep_s=60)
    taken.add("a", now=0)
    assert not taken.holds("a", now=0)


@given(
    st.lists(st.tuples(st.integers(0, 8), st.floats(0, 30)), max_size=60),
    st.integers(0, 5),
    st.floats(1, 40),
)
def test_it_holds_exactly_the_newest_within_the_window(steps, keep, keep_s):
    taken = Taken[int](keep=keep, keep_s=keep_s)
    last: dict[int, float] = {}
    now = 0.0
    for key, wait in steps:
        now += wait
        taken.add(key, now=now)
        last.pop(key, None)
        last[key] = now
        newest = list(last)[-keep:] if keep else []
        for known, since in last.items():
            assert taken.holds(known, now=now) == (known in newest and now - since < keep_s)
        assert len(taken) <= keep
