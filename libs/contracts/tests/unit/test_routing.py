"""Where each type goes, and which class of service it has."""

import json
from pathlib import Path

import pytest

from tapewire.contracts import (
    EVENT_TYPES,
    Quality,
    Route,
    parse_event,
    quality_of,
    route,
    session_kinds,
)

EXAMPLES = Path(__file__).parents[2] / "examples"

# One row a type: the plan's table, written by hand so that a change of route is seen.
ROUTES = {
    "session_started": ("tw.events", "alice.s-17.session.started", Quality.RECENT),
    "session_status": ("tw.events", "alice.s-17.session.status", Quality.LIVE),
    "session_completed": ("tw.events", "alice.s-17.session.completed", Quality.RECENT),
    "algorithm_decision": ("tw.events", "alice.s-17.decision.buy", Quality.RECENT),
    "trade_executed": ("tw.events", "alice.s-17.trade.executed", Quality.RECENT),
    "position_update": ("tw.events", "alice.s-17.position.updated", Quality.RECENT),
    "performance_milestone": ("tw.events", "alice.s-17.milestone.reached", Quality.RECENT),
    "risk_alert": ("tw.alerts", "alice.s-17.loss_limit.critical", Quality.CRITICAL),
    "alert_acknowledged": ("tw.events", "alice.s-17.command.alert_acknowledged", Quality.RECENT),
    "volatility_alert": ("tw.alerts", "all.-.volatility_alert.warning", Quality.RECENT),
    "emergency_stop": ("tw.alerts", "alice.s-17.emergency_stop.emergency", Quality.CRITICAL),
    "emergency_stop_requested": (
        "tw.events",
        "alice.s-17.command.emergency_stop_requested",
        Quality.RECENT,
    ),
    "emergency_stop_acknowledged": (
        "tw.events",
        "alice.s-17.command.emergency_stop_acknowledged",
        Quality.RECENT,
    ),
    "system_notification": ("tw.alerts", "all.-.system_notification.info", Quality.RECENT),
    "market_data": ("tw.market", "tick.SPY", Quality.LIVE),
    "notification_read": ("tw.events", "alice.-.account.notification_read", Quality.LIVE),
    "preferences_changed": ("tw.events", "alice.-.account.preferences_changed", Quality.LIVE),
}


def test_the_table_is_complete() -> None:
    assert set(ROUTES) == set(EVENT_TYPES)


@pytest.mark.parametrize("name", sorted(ROUTES))
def test_route_and_quality(name: str) -> None:
    event = parse_event((EXAMPLES / f"{name}.json").read_bytes())
    exchange, key, quality = ROUTES[name]
    assert route(event) == Route(exchange, key)
    assert quality_of(event) is quality


@pytest.mark.parametrize("name", ["trade_executed", "algorithm_decision", "session_completed"])
def test_ack_lifts_a_recent_type_to_the_inbox(name: str) -> None:
    fields = json.loads((EXAMPLES / f"{name}.json").read_text()) | {"ack": True}
    event = parse_event(fields)
    assert quality_of(event) is Quality.CRITICAL
    assert route(event) == Route("tw.alerts", f"alice.s-17.{name}.critical")


def test_ack_lifts_a_warning_to_the_inbox() -> None:
    fields = json.loads((EXAMPLES / "risk_alert.json").read_text())
    event = parse_event(fields | {"ack": True, "alertLevel": "warning"})
    assert quality_of(event) is Quality.CRITICAL
    assert route(event).routing_key == "alice.s-17.loss_limit.critical"


def test_a_user_cannot_be_taken_for_another_by_the_key() -> None:
    fields = json.loads((EXAMPLES / "trade_executed.json").read_text())
    event = parse_event(fields | {"userId": "bob.#", "sessionId": "*"})
    assert route(event).routing_key == "bob:2E:23.:2A.trade.executed"


def test_session_kinds_are_what_clients_see_of_a_session() -> None:
    assert session_kinds(Quality.LIVE) == ("session.status",)
    assert set(session_kinds(Quality.RECENT)) == {
        "session.started",
        "session.completed",
        "decision.*",
        "trade.executed",
        "position.updated",
        "milestone.reached",
    }
