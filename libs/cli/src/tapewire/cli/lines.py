"""How a message looks on a terminal: pure, message in, coloured line out."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from rich.text import Text

Fields = Mapping[str, Any]

LEVELS = {"info": "cyan", "warning": "#FF9900", "critical": "bold #EF4444"}
LEVELS["emergency"] = "bold white on #B91C1C"
UP, DOWN = "#26a69a", "#ef5350"
DECISIONS = {"buy": UP, "sell": DOWN, "close_position": "#FF9900"}
TYPE_WIDTH = 21  # of the longest type that is common


def money(value: Any) -> Text:
    """An amount with its sign, green or red."""
    amount = float(value)
    return Text(f"{amount:+,.2f}", style=UP if amount >= 0 else DOWN)


def price(value: Any) -> str:
    """A price as it is quoted."""
    return f"{float(value):,.2f}"


def _decision(message: Fields) -> Text:
    decision = message["decision"]
    market: Fields = message.get("marketData") or {}
    text = Text().append(decision.upper().replace("_", " "), DECISIONS.get(decision, ""))
    if market:
        text.append(f" {market['symbol']} @ {price(market['price'])}")
    text.append(f"  {message['confidence']:.0%}  {message['reasoning']}", style="dim")
    return text


def _trade(message: Fields) -> Text:
    side = message["side"]
    text = Text().append(side.upper(), UP if side == "buy" else DOWN)
    quantity = f" {float(message['quantity']):g} {message['symbol']} @ {price(message['price'])}"
    text.append(quantity)
    if message.get("realizedPnL"):
        text.append("  realised ").append_text(money(message["realizedPnL"]))
    return text


def _position(message: Fields) -> Text:
    text = Text(f"{float(message['quantity']):g} {message['symbol']}")
    text.append(f" @ {price(message['averagePrice'])}  ")
    return text.append_text(money(message["unrealizedPnL"]))


def _status(message: Fields) -> Text:
    data = message["data"]
    text = Text(f"{message['status']}  P&L ").append_text(money(data["currentPnL"]))
    if data.get("lossLimitUtilization") is not None:
        text.append(f"  loss limit {data['lossLimitUtilization']:.0f} %")
    return text.append(f"  {data['totalTrades']} trades")


def _alert(message: Fields) -> Text:
    level = message.get("alertLevel") or message.get("level") or "critical"
    text = Text().append(f" {level.upper()} ", LEVELS.get(level, ""))
    return text.append(f" {message.get('message') or message.get('reason') or ''}")


def _stop(message: Fields) -> Text:
    text = Text().append(f" STOP {message['mode'].upper()} ", LEVELS["emergency"])
    return text.append(f" {message.get('reason') or ''}")


def _completed(message: Fields) -> Text:
    summary: Fields = message.get("summary") or {}
    text = Text(f"{message['status']}  {message.get('reason') or ''}".rstrip())
    if "finalPnL" in summary:
        text.append("  P&L ").append_text(money(summary["finalPnL"]))
    return text


def _market(message: Fields) -> Text:
    text = Text(f"{message['symbol']} {price(message['last'])}")
    if message.get("change") is not None:
        text.append(" ").append_text(money(message["change"]))
    return text


BODIES: dict[str, Callable[[Fields], Text]] = {
    "algorithm_decision": _decision,
    "trade_executed": _trade,
    "position_update": _position,
    "session_status": _status,
    "session_started": lambda m: Text(f"{m['algorithmId']} on {', '.join(m.get('symbols') or [])}"),
    "session_completed": _completed,
    "risk_alert": _alert,
    "volatility_alert": _alert,
    "emergency_stop": _stop,
    "system_notification": _alert,
    "performance_milestone": lambda m: Text(m["milestone"], style=UP),
    "market_data": _market,
    "acked": lambda m: Text(f"acknowledged elsewhere: {', '.join(m['ids'])}", style="dim"),
}


def line(message: Fields) -> Text:
    """One line: time, type, session, and what matters of the rest.

    A message of a newer version, or with a field missing, is shown as its plain fields.
    """
    kind = str(message["type"])
    text = Text().append(f"{_time(message)}  ", style="dim")
    text.append(f"{kind:<{TYPE_WIDTH}} ", style="bold")
    if message.get("sessionId"):
        text.append(f"{message['sessionId']}  ", style="dim")
    try:
        body = BODIES[kind](message)
    except (AttributeError, KeyError, TypeError, ValueError):
        known = ("type", "id", "timestamp", "sessionId", "userId")
        fields = {name: value for name, value in message.items() if name not in known}
        body = Text(" ".join(f"{name}={value}" for name, value in fields.items()))
    text.append_text(body)
    if message.get("ack"):
        text.append("  (open)", style="dim")
    return text


def _time(message: Fields) -> str:
    """The message's time in the local zone, or blanks."""
    try:
        return f"{datetime.fromisoformat(str(message['timestamp'])).astimezone():%H:%M:%S}"
    except (KeyError, ValueError):
        return " " * 8
