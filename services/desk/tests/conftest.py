"""Events as services publish them, for every test of desk."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from tapewire.contracts import Event, parse_event

T0 = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

FIELDS: dict[str, dict[str, Any]] = {
    "session_started": {"algorithmId": "algo", "lossLimit": 500},
    "session_status": {"data": {"currentPnL": -12.5, "totalTrades": 3}},
    "session_completed": {"summary": {"finalPnL": 184.2}},
    "algorithm_decision": {
        "algorithmId": "algo",
        "decision": "buy",
        "reasoning": "Because",
        "confidence": 0.8,
    },
    "trade_executed": {
        "symbol": "SPY",
        "side": "buy",
        "quantity": 1,
        "price": 512,
        "orderId": "o",
    },
    "position_update": {"symbol": "SPY", "quantity": 10, "averagePrice": 512},
    "performance_milestone": {"milestone": "Profit of 1 %", "value": 250},
    "risk_alert": {
        "alertLevel": "critical",
        "alertType": "loss_limit",
        "message": "92.1 % of the loss limit is used",
        "currentValue": 92.1,
        "threshold": 90,
    },
    "emergency_stop": {"reason": "Loss limit"},
    "volatility_alert": {"symbol": "SPY", "message": "Moves", "currentValue": 2, "threshold": 1},
    "system_notification": {"title": "Notice", "message": "Something", "sessionId": None},
}


@pytest.fixture
def make() -> Callable[..., Event]:
    """Make events of user alice's session s-1, each with the next id and a second later."""
    numbers = count(1)

    def event(kind: str, **changes: Any) -> Event:
        number = next(numbers)
        fields = {
            "type": kind,
            "id": f"e-{number}",
            "timestamp": (T0 + timedelta(seconds=number)).isoformat(),
            "userId": "alice",
            "sessionId": "s-1",
        }
        fields |= FIELDS[kind] | changes
        return parse_event({key: value for key, value in fields.items() if value is not None})

    return event
