import pytest

from tapewire.contracts import EVENT_TYPES, parse_event
from tapewire.desk.entry import (
    CHANGES,
    Counted,
    Ended,
    Figures,
    Measured,
    Positioned,
    Started,
    entry_of,
)


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("session_started", {}, Started()),
        ("session_status", {"status": "paused"}, Measured("paused", Figures(-12.5))),
        ("session_completed", {"status": "expired"}, Ended("expired", Figures(184.2))),
        ("algorithm_decision", {}, Counted("decisions")),
        ("trade_executed", {}, Counted("trades")),
        ("performance_milestone", {}, Counted("milestones")),
        ("position_update", {}, Positioned("SPY", closed=False)),
        ("position_update", {"quantity": 0}, Positioned("SPY", closed=True)),
        ("risk_alert", {}, Counted("alerts")),
        ("emergency_stop", {}, Counted("alerts")),
        ("volatility_alert", {}, Counted("alerts")),
        ("volatility_alert", {"sessionId": None}, None),
        ("system_notification", {}, None),
    ],
)
def test_each_type_does_one_thing_to_its_session(make, kind, changes, expected):
    assert entry_of(make(kind, **changes)).change == expected


def test_every_event_of_a_session_that_clients_see_changes_it():
    seen = {model for model in EVENT_TYPES.values() if model.shown}
    sessions = {model for model in seen if "session_id" in model.model_fields}
    assert sessions == set(CHANGES)


@pytest.mark.parametrize(
    ("kind", "changes", "level"),
    [
        ("risk_alert", {"alertLevel": "warning"}, "warning"),
        ("risk_alert", {"alertLevel": "emergency"}, "emergency"),
        ("risk_alert", {"alertLevel": "warning", "ack": True}, "critical"),
        ("volatility_alert", {}, "warning"),
        ("emergency_stop", {}, "emergency"),
        ("system_notification", {}, "info"),
        ("system_notification", {"level": "critical"}, "critical"),
        ("performance_milestone", {}, "info"),
        ("trade_executed", {}, None),
        ("trade_executed", {"ack": True}, "critical"),
        ("session_status", {}, None),
    ],
)
def test_a_notification_is_what_says_how_urgent_it_is_or_wants_an_ack(make, kind, changes, level):
    assert entry_of(make(kind, **changes)).level == level


def test_only_the_status_is_not_kept_by_its_id(make):
    assert not entry_of(make("session_status")).kept
    assert entry_of(make("trade_executed")).kept


def test_a_notice_without_a_user_is_for_everyone(make):
    assert entry_of(make("system_notification", userId="all")).user == "all"
    assert entry_of(make("volatility_alert", userId=None, sessionId=None)).user == "all"


def test_the_body_is_the_client_message(make):
    event = make("risk_alert")
    assert parse_event(entry_of(event).body.encode()) == event.model_copy(update={"ack": True})
