"""The two tables: every (state, event) pair."""

import itertools
from pathlib import Path

import pytest

from tapewire.edge.connection import session
from tapewire.edge.connection.limits import Limits
from tapewire.edge.connection.session import IllegalStep, Phase, Session, Step
from tapewire.edge.mailbox import state as mailbox_state
from tapewire.edge.mailbox.state import Event, IllegalTransition, State, after

DELIVERY = Path(__file__).parents[4] / "docs" / "delivery.md"


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_mailbox_goes_where_the_table_says_or_stays(state, event):
    expected = mailbox_state.TRANSITIONS[state].get(event)
    if expected is None:
        with pytest.raises(IllegalTransition):
            after(state, event)
    else:
        assert after(state, event) is expected


def test_every_state_is_reached_and_only_closed_is_an_end():
    reached = {to for row in mailbox_state.TRANSITIONS.values() for to in row.values()}
    assert reached == set(State)
    assert [state for state, row in mailbox_state.TRANSITIONS.items() if not row] == [State.CLOSED]


def test_document_shows_the_table_of_the_code():
    assert mailbox_state.table() in DELIVERY.read_text()


@pytest.mark.parametrize(("phase", "step"), list(itertools.product(Phase, Step)))
def test_session_goes_where_the_table_says_or_stays(phase, step):
    one = Session(Limits(), 0.0)
    one.phase = phase
    expected = session.TRANSITIONS[phase].get(step)
    if expected is None:
        with pytest.raises(IllegalStep):
            one.step(step)
        assert one.phase is phase
    else:
        one.step(step)
        assert one.phase is expected
