"""The state table is total where it must be, and illegal moves change nothing."""

from pathlib import Path

import pytest

from tapewire.client.states import TRANSITIONS, IllegalTransition, State, Trigger, next_state

PAIRS = [(state, trigger) for state in State for trigger in Trigger]


@pytest.mark.parametrize(("state", "trigger"), PAIRS)
def test_every_pair_is_in_the_table_or_illegal(state: State, trigger: Trigger) -> None:
    if trigger in TRANSITIONS[state]:
        assert next_state(state, trigger) is TRANSITIONS[state][trigger]
    else:
        with pytest.raises(IllegalTransition):
            next_state(state, trigger)


@pytest.mark.parametrize("state", State)
def test_application_can_close_from_every_state(state: State) -> None:
    assert next_state(state, Trigger.CLOSE) is State.CLOSED


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_reached(state: State) -> None:
    assert state is State.IDLE or any(state in moves.values() for moves in TRANSITIONS.values())


def test_nothing_but_the_application_leaves_failed_and_closed() -> None:
    assert set(TRANSITIONS[State.FAILED]) == {Trigger.CONNECT, Trigger.CLOSE}
    assert set(TRANSITIONS[State.CLOSED]) == {Trigger.CONNECT, Trigger.CLOSE}


def test_readme_draws_the_table() -> None:
    readme = Path(__file__).parents[2].joinpath("README.md").read_text("utf-8")
    for state, moves in TRANSITIONS.items():
        row = " | ".join(str(moves.get(trigger, "-")) for trigger in Trigger)
        assert f"| {state} | {row} |" in readme
