"""Every emitter makes the event it is named after, and a wrong field is named before sending."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tapewire.client import EventPublisher, InvalidEvent, SessionEmitters
from tapewire.contracts import Event, Quality, encode, parse_event, quality_of

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
Emit = Callable[[SessionEmitters], Awaitable[str]]

EMITTERS: dict[str, tuple[str, Emit]] = {
    "session_started": (
        "session_started",
        lambda s: s.emit_session_started(
            algorithm_id="m", symbols=["SPY"], loss_limit=500, time_limit_s=3600
        ),
    ),
    "status_update": (
        "session_status",
        lambda s: s.emit_status_update(-412.5, total_trades=18, loss_limit_utilization=82.5),
    ),
    "session_completed": (
        "session_completed",
        lambda s: s.emit_session_completed(-500, status="emergency_stopped", total_trades=3),
    ),
    "session_completed without figures": (
        "session_completed",
        lambda s: s.emit_session_completed(reason="end of day"),
    ),
    "algorithm_decision": (
        "algorithm_decision",
        lambda s: s.emit_algorithm_decision(
            "buy", "momentum", algorithm_id="m", confidence=0.8, symbol="SPY", price="512.31"
        ),
    ),
    "trade_executed": (
        "trade_executed",
        lambda s: s.emit_trade_executed("SPY", "buy", quantity=10, price="512.31"),
    ),
    "position_update": (
        "position_update",
        lambda s: s.emit_position_update("SPY", -10, average_price=512, unrealized_pnl=-3.5),
    ),
    "risk_alert": (
        "risk_alert",
        lambda s: s.emit_risk_alert(
            "correlation", "too alike", level="critical", current_value=0.9, threshold=0.85
        ),
    ),
    "loss_limit_warning": ("risk_alert", lambda s: s.emit_loss_limit_warning(80.2)),
    "emergency_stop": ("emergency_stop", lambda s: s.emit_emergency_stop("loss limit")),
    "emergency_stop_acknowledged": (
        "emergency_stop_acknowledged",
        lambda s: s.emit_emergency_stop_acknowledged("stop-1", executor="exec-1"),
    ),
    "performance_milestone": (
        "performance_milestone",
        lambda s: s.emit_performance_milestone("P&L up 1 %", 1000),
    ),
    "market_data": (
        "market_data",
        lambda s: s.emit_market_data("SPY", 512.31, bid=512.3, ask=512.32, volume=100),
    ),
    "volatility_alert": (
        "volatility_alert",
        lambda s: s.emit_volatility_alert("SPY", "moves", current_value=2.1, threshold=2),
    ),
    "system_notification": (
        "system_notification",
        lambda s: s.emit_system_notification("Hello", "there"),
    ),
    "maintenance_notice": (
        "system_notification",
        lambda s: s.emit_maintenance_notice("Tonight", "we restart", starts_at=NOON, ends_at=NOON),
    ),
}


class Taken:
    """Takes events in place of the broker."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def __call__(self, event: Event, *, deadline_s: float | None = None) -> str:
        self.events.append(event)
        return event.id


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def session(taken: Taken) -> SessionEmitters:
    return SessionEmitters(taken, session_id="s-17", user="alice")


@pytest.mark.parametrize("name", EMITTERS)
async def test_emitter_makes_its_event(name: str, session: SessionEmitters, taken: Taken) -> None:
    event_type, emit = EMITTERS[name]
    event_id = await emit(session)
    (event,) = taken.events
    assert (event.id, event.type) == (event_id, event_type)
    assert parse_event(encode(event)).type == event_type
    if event_type != "market_data":
        assert getattr(event, "user_id", None) == "alice"


def test_there_is_an_emitter_for_every_name_of_the_story() -> None:
    emitters = {name.removeprefix("emit_") for name in dir(SessionEmitters) if "emit_" in name[:5]}
    assert emitters == {name.split(" ")[0] for name in EMITTERS}


async def test_stamp_is_taken_as_it_is(session: SessionEmitters, taken: Taken) -> None:
    await session.emit_performance_milestone("+1 %", 10, event_id="m-1", timestamp=NOON, ack=True)
    (event,) = taken.events
    assert (event.id, event.timestamp, event.ack) == ("m-1", NOON, True)
    assert quality_of(event) is Quality.CRITICAL


@pytest.mark.parametrize(
    ("emit", "field"),
    [
        (lambda s: s.emit_trade_executed("SPY", "borrow", quantity=1, price=1), "side"),
        (lambda s: s.emit_trade_executed("SPY", "buy", quantity=0, price=1), "quantity"),
        (lambda s: s.emit_session_started(loss_limit=-1), "lossLimit"),
        (lambda s: s.emit_status_update("a lot"), "data.currentPnL"),
        (lambda s: s.emit_session_completed(total_trades=3), "summary.finalPnL"),
        (lambda s: s.emit_market_data("SPY", float("nan")), "last"),
        (lambda s: s.emit_system_notification("x" * 300, "long"), "title"),
        (lambda s: s.emit_performance_milestone("+1 %", 1, event_id="x" * 65), "id"),
        (
            lambda s: s.emit_performance_milestone("+1 %", 1, timestamp=NOON.replace(tzinfo=None)),
            "timestamp",
        ),
    ],
)
async def test_wrong_field_is_named_and_nothing_is_sent(
    emit: Callable[[SessionEmitters], Awaitable[Any]],
    field: str,
    session: SessionEmitters,
    taken: Taken,
) -> None:
    with pytest.raises(InvalidEvent) as caught:
        await emit(session)
    assert [error.field for error in caught.value.errors] == [field]
    assert taken.events == []


def test_publisher_names_what_is_missing() -> None:
    with pytest.raises(ValueError, match="token"):
        EventPublisher("http://127.0.0.1:8082")
    with pytest.raises(ValueError, match="neither"):
        EventPublisher("127.0.0.1:8082")
