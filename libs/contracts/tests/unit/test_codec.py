"""What comes in is checked field by field; what goes out is the client's message."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tapewire.contracts import (
    InvalidEvent,
    SessionStatus,
    encode,
    parse_event,
)

STATUS: dict[str, Any] = {
    "type": "session_status",
    "userId": "alice",
    "sessionId": "s-17",
    "data": {"currentPnL": -412.5},
}


def errors_of(raw: Any) -> dict[str, str]:
    with pytest.raises(InvalidEvent) as caught:
        parse_event(raw)
    return {error.field: error.message for error in caught.value.errors}


def test_id_and_timestamp_are_stamped_when_absent() -> None:
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    event = parse_event(STATUS, now=lambda: noon, make_id=lambda: "made")
    assert (event.id, event.timestamp) == ("made", noon)


def test_a_producers_id_and_timestamp_stay() -> None:
    event = parse_event(STATUS | {"id": "mine", "timestamp": "2026-11-23T12:00:00+01:00"})
    assert event.id == "mine"
    assert event.timestamp == datetime(2026, 11, 23, 11, tzinfo=UTC)


def test_money_is_decimal_inside_and_a_number_on_the_wire() -> None:
    event = parse_event(json.dumps(STATUS))
    assert isinstance(event, SessionStatus)
    assert event.data.current_pnl == Decimal("-412.5")
    assert json.loads(encode(event))["data"] == {"currentPnL": -412.5}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"userId": None}, "userId"),
        ({"userId": "all"}, "userId"),
        ({"userId": "x" * 65}, "userId"),
        ({"sessionId": ""}, "sessionId"),
        ({"timestamp": "2026-11-23T12:00:00"}, "timestamp"),
        ({"timestamp": "0001-01-01T00:00:00+05:00"}, "timestamp"),  # no such instant in UTC
        ({"timestamp": "9999-12-31T23:59:59-05:00"}, "timestamp"),
        ({"timestamp": "1969-12-31T23:59:59Z"}, "timestamp"),  # AMQP has no negative time
        ({"id": "a\x00b"}, "id"),  # PostgreSQL has no NUL
        ({"id": "\N{ROCKET}" * 64}, "id"),  # AMQP's short strings end at 255 bytes
        ({"data": {}}, "data.currentPnL"),
        ({"data": {"currentPnL": "much"}}, "data.currentPnL"),
        ({"data": {"currentPnL": float("nan")}}, "data.currentPnL"),
        ({"data": {"currentPnL": 0, "performanceScore": "inf"}}, "data.performanceScore"),
        ({"surprise": 1}, "surprise"),
        ({"session_id": "s-17"}, "session_id"),
        ({"type": "nonsense"}, "type"),
        ({"type": None}, "type"),
        ({"ack": True}, "ack"),
    ],
)
def test_an_error_names_its_field(change: dict[str, Any], field: str) -> None:
    assert field in errors_of(STATUS | change)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"1", b'{"a":NaN}', b"\xff", b" " * 70_000])
def test_what_is_no_object_is_refused_as_a_whole(raw: bytes) -> None:
    assert set(errors_of(raw)) == {""}


def test_deep_nesting_is_refused() -> None:
    assert set(errors_of(b'{"a":' * 5000 + b"1" + b"}" * 5000)) == {""}


def test_every_wrong_field_is_named_at_once() -> None:
    assert set(errors_of({"type": "trade_executed", "userId": "alice"})) >= {
        "sessionId",
        "symbol",
        "side",
        "quantity",
        "price",
        "orderId",
    }


def test_a_critical_message_says_that_it_wants_an_ack() -> None:
    alert = {
        "type": "risk_alert",
        "userId": "alice",
        "alertLevel": "critical",
        "alertType": "loss_limit",
        "message": "m",
        "currentValue": 92.1,
        "threshold": 90,
    }
    assert json.loads(encode(parse_event(alert)))["ack"] is True
    assert "ack" not in json.loads(encode(parse_event(alert | {"alertLevel": "warning"})))
