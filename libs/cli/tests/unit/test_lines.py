import json
from pathlib import Path

import pytest

from tapewire.cli.lines import line

EXAMPLES = sorted(Path(__file__).parents[3].glob("contracts/examples/*.json"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_of_the_contracts_makes_one_line(path):
    message = json.loads(path.read_text())
    text = line(message).plain
    assert message["type"] in text
    assert "\n" not in text


def test_a_critical_alert_says_that_it_is_open():
    alert = {"type": "risk_alert", "alertLevel": "critical", "message": "90 % of the limit"}
    text = line({**alert, "sessionId": "s-1", "ack": True}).plain
    assert "CRITICAL  90 % of the limit  (open)" in text
    assert "s-1" in text


def test_money_has_a_sign_and_prices_have_none():
    trade = {"type": "trade_executed", "side": "sell", "quantity": 10.0, "symbol": "SPY"}
    text = line({**trade, "price": 1512.3, "realizedPnL": -40.5}).plain
    assert text.endswith("SELL 10 SPY @ 1,512.30  realised -40.50")


@pytest.mark.parametrize(
    "message",
    [
        {"type": "from_the_future", "timestamp": "soon", "mood": "good"},
        {"type": "session_status", "status": "active", "data": None},
        {"type": "trade_executed", "side": 4},
    ],
    ids=["unknown type", "missing data", "wrong type"],
)
def test_what_cannot_be_shown_nicely_is_shown_plainly(message):
    assert message["type"] in line(message).plain


def test_markup_in_a_message_is_text():
    message = {"type": "performance_milestone", "milestone": "[red]up[/] 1 %"}
    assert "[red]up[/] 1 %" in line(message).plain
