"""A message is typed where its type is known, and raw always."""

from decimal import Decimal
from typing import Any

import pytest

from tapewire.client.message import read_object, to_message
from tapewire.contracts import TradeExecuted

TRADE: dict[str, Any] = {
    "type": "trade_executed",
    "id": "e-1",
    "userId": "alice",
    "sessionId": "s-17",
    "symbol": "SPY",
    "side": "buy",
    "quantity": 10,
    "price": 512.31,
    "orderId": "o-1",
    "timestamp": "2026-01-05T14:30:00Z",
}


def test_known_type_is_a_model_and_keeps_its_raw_fields() -> None:
    message = to_message({**TRADE, "redelivered": True, "novelty": {"x": 1}})
    assert isinstance(message.event, TradeExecuted)
    assert message.event.price == Decimal("512.31")
    assert message["novelty"] == {"x": 1}
    assert message.redelivered
    assert message.get("missing", 7) == 7


def test_message_that_does_not_fit_its_model_is_raw_only() -> None:
    message = to_message({**TRADE, "side": "borrow"})
    assert message.event is None
    assert message["side"] == "borrow"
    assert message.known


def test_unknown_type_is_raw_only() -> None:
    message = to_message({"type": "future_thing", "id": "f-1"})
    assert (message.event, message.known, message.dedup_id) == (None, False, "f-1")


@pytest.mark.parametrize(
    ("raw", "dedup_id"),
    [
        (TRADE, "e-1"),
        ({**TRADE, "snapshot": True}, None),
        ({**TRADE, "id": None}, None),
        ({"type": "session_status", "id": "v-1"}, None),
        ({"type": "market_data", "id": "m-1"}, None),
        ({"type": "risk_alert", "id": "a-1"}, "a-1"),
    ],
)
def test_handled_once_is_what_has_an_id_and_is_no_state(
    raw: dict[str, Any], dedup_id: str | None
) -> None:
    assert to_message(raw).dedup_id == dedup_id


def test_only_what_says_so_and_has_an_id_wants_an_ack() -> None:
    assert to_message({**TRADE, "ack": True}).wants_ack
    assert not to_message(TRADE).wants_ack
    assert not to_message({**TRADE, "ack": True, "id": None}).wants_ack


@pytest.mark.parametrize("text", ["", "junk", "[]", "1", "{}", '{"type":1}', '{"type"'])
def test_junk_is_no_message(text: str) -> None:
    assert read_object(text) is None
