from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from tapewire.contracts import encode, parse_event, route, stop_command_key
from tapewire.risk.diagram import draw
from tapewire.risk.settings import RiskSettings
from tapewire.risk.stops import (
    STOP_TRANSITIONS,
    Stop,
    StopSignal,
    StopState,
    move,
    order_of,
    stop_id,
    unconfirmed_of,
)

T0 = datetime(2025, 3, 3, 14, 30, tzinfo=UTC)
README = Path(__file__).parents[2] / "README.md"


def stop(state: StopState = StopState.REQUESTED) -> Stop:
    return Stop("id-1", "alice", "s-1", state, "halt", "Too much lost", "rule:loss_limit", T0)


@pytest.mark.parametrize("state", StopState)
@pytest.mark.parametrize("signal", StopSignal)
def test_every_pair_follows_the_table_or_changes_nothing(state, signal):
    before = stop(state)
    after = move(before, signal, T0, ack_deadline_s=5)
    target = STOP_TRANSITIONS[state].get(signal)
    if target is None:
        assert after is before
    else:
        assert after.state is target


def test_deadline_runs_from_the_dispatch_and_ends_with_the_first_word():
    dispatched = move(stop(), StopSignal.DISPATCH, T0, ack_deadline_s=5)
    assert dispatched.deadline_at == T0 + timedelta(seconds=5)
    heard = move(dispatched, StopSignal.ACKNOWLEDGE, T0, ack_deadline_s=5)
    assert heard.deadline_at is None


def test_quick_executor_is_not_undone_by_the_late_note_of_the_dispatch():
    done = move(stop(), StopSignal.COMPLETE, T0, ack_deadline_s=5)
    assert move(done, StopSignal.DISPATCH, T0, ack_deadline_s=5) is done
    assert done.settled_at == T0


def test_nothing_moves_a_released_stop():
    assert STOP_TRANSITIONS[StopState.RELEASED] == {}


def test_same_key_names_the_same_stop():
    assert stop_id("alice", "s-1", "k") == stop_id("alice", "s-1", "k")
    assert stop_id("alice", "s-1", "k") != stop_id("alice", "s-2", "k")


def test_order_reaches_the_inbox_and_the_executors_under_one_id():
    order = order_of(stop())
    assert route(order).routing_key == "alice.s-1.emergency_stop.emergency"
    assert stop_command_key(order) == "alice.s-1.command.emergency_stop"
    assert parse_event(encode(order)).id == order_of(stop()).id


def test_unconfirmed_tells_how_long_was_waited():
    alert = unconfirmed_of(stop(), T0 + timedelta(seconds=5.2), ack_deadline_s=5)
    assert (alert.alert_type, alert.alert_level) == ("stop_unconfirmed", "emergency")
    assert (alert.current_value, alert.threshold) == (5.2, 5)


def test_readme_shows_the_tables_as_they_are():
    text = README.read_text(encoding="utf-8")
    assert draw(text) == text, "run python -m tapewire.risk.diagram services/risk/README.md"


def test_readme_names_every_setting():
    own = set(RiskSettings.model_fields) - set(RiskSettings.__base__.model_fields)
    text = README.read_text(encoding="utf-8")
    assert [name for name in own if f"TAPEWIRE_{name.upper()}" not in text] == []


def test_unknown_rules_are_refused():
    with pytest.raises(ValidationError, match="moonphase"):
        RiskSettings(risk_stop_rules="loss_limit,moonphase")
