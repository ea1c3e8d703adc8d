"""One example of every event that producers send, as OpenAPI and the tests show it."""

from typing import Any, Final

_SESSION: Final = {"userId": "alice", "sessionId": "s-17"}

_EVENTS: Final[tuple[dict[str, Any], ...]] = (
    {
        "type": "session_started",
        **_SESSION,
        "algorithmId": "mean-reversion",
        "symbols": ["SPY", "QQQ"],
        "initialEquity": 25000,
        "lossLimit": 500,
        "timeLimitS": 23400,
    },
    {
        "type": "session_status",
        **_SESSION,
        "status": "active",
        "data": {
            "currentPnL": -412.5,
            "totalTrades": 18,
            "lossLimitUtilization": 82.5,
            "timeElapsed": 5400,
            "performanceScore": 61.0,
        },
    },
    {
        "type": "session_completed",
        **_SESSION,
        "status": "completed",
        "summary": {"finalPnL": 184.2, "totalTrades": 31, "winRate": 0.58},
    },
    {
        "type": "algorithm_decision",
        **_SESSION,
        "algorithmId": "mean-reversion",
        "decision": "buy",
        "reasoning": "Two deviations below the 20-minute mean on rising volume",
        "confidence": 0.83,
        "marketData": {"symbol": "SPY", "price": 512.31, "volume": 1200},
    },
    {
        "type": "trade_executed",
        **_SESSION,
        "symbol": "SPY",
        "side": "buy",
        "quantity": 10,
        "price": 512.33,
        "orderId": "o-4711",
    },
    {
        "type": "position_update",
        **_SESSION,
        "symbol": "SPY",
        "quantity": 10,
        "averagePrice": 512.33,
        "unrealizedPnL": -1.2,
    },
    {
        "type": "performance_milestone",
        **_SESSION,
        "milestone": "Profit of 1 %",
        "value": 250,
    },
    {
        "type": "risk_alert",
        **_SESSION,
        "alertLevel": "critical",
        "alertType": "loss_limit",
        "message": "92.1 % of the loss limit is used",
        "currentValue": 92.1,
        "threshold": 90.0,
    },
    {
        "type": "alert_acknowledged",
        **_SESSION,
        "alertIds": ["6f1c4d0e-6f0b-5c55-9d1f-2d3b8c0e7a11"],
    },
    {
        "type": "volatility_alert",
        "userId": "alice",
        "symbol": "SPY",
        "alertLevel": "warning",
        "message": "SPY moves twice as much as in the last hour",
        "currentValue": 2.1,
        "threshold": 2.0,
    },
    {
        "type": "emergency_stop",
        **_SESSION,
        "mode": "halt",
        "reason": "The venue rejects every order",
        "requestedBy": "supervision",
    },
    {
        "type": "emergency_stop_requested",
        **_SESSION,
        "mode": "halt",
        "reason": "I do not understand what it is doing",
        "idempotencyKey": "stop-s-17-1",
    },
    {
        "type": "emergency_stop_acknowledged",
        **_SESSION,
        "state": "completed",
        "executor": "paper-broker",
    },
    {
        "type": "system_notification",
        "userId": "all",
        "level": "warning",
        "category": "maintenance",
        "title": "Maintenance tonight",
        "message": "The fleet restarts at 22:00 UTC; nothing is lost.",
        "startsAt": "2026-03-02T22:00:00Z",
    },
    {
        "type": "market_data",
        "symbol": "SPY",
        "last": 512.31,
        "bid": 512.3,
        "ask": 512.32,
        "volume": 1200,
    },
)

EXAMPLES: Final = {str(event["type"]): event for event in _EVENTS}
"""``type`` → an event of it."""
