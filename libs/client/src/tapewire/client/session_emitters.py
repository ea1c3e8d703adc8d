"""One ``emit_…`` for each event of a session, with the session's and the user's id filled in."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Literal, Protocol, Unpack

from tapewire.client.emitters import DeskEmitters, Number, Stamp
from tapewire.contracts import AlertLevel, Event, SessionState, StopMode, new_id


class Publish(Protocol):
    """``EventPublisher.publish``."""

    def __call__(self, event: Event, *, deadline_s: float | None = None) -> Awaitable[str]:
        """Publish one event and return its id."""
        ...


class SessionEmitters(DeskEmitters):
    """The events of one trading session of one user; notices go to that user."""

    def __init__(self, publish: Publish, *, session_id: str, user: str) -> None:
        self._publish = publish
        self.session_id = session_id
        self.user = user

    async def publish(self, event: Event, *, deadline_s: float | None = None) -> str:
        """Publish one event and return its id."""
        return await self._publish(event, deadline_s=deadline_s)

    async def emit_session_started(
        self,
        *,
        algorithm_id: str | None = None,
        symbols: Sequence[str] | None = None,
        initial_equity: Number | None = None,
        loss_limit: Number | None = None,
        time_limit_s: int | None = None,
        **stamp: Unpack[Stamp],
    ) -> str:
        """Publish that the session began; its limits arm the risk rules."""
        fields: dict[str, Any] = {"algorithmId": algorithm_id, "symbols": symbols}
        fields |= {"initialEquity": initial_equity, "lossLimit": loss_limit}
        return await self._of_session(
            "session_started", {**fields, "timeLimitS": time_limit_s}, stamp
        )

    async def emit_status_update(
        self,
        current_pnl: Number,
        *,
        status: SessionState = "active",
        realized_pnl: Number | None = None,
        unrealized_pnl: Number | None = None,
        equity: Number | None = None,
        total_trades: int | None = None,
        loss_limit_utilization: float | None = None,
        time_elapsed: float | None = None,
        performance_score: float | None = None,
        **stamp: Unpack[Stamp],
    ) -> str:
        """Publish the session's state and figures; ``time_elapsed`` in seconds."""
        data = {
            "currentPnL": current_pnl,
            "realizedPnL": realized_pnl,
            "unrealizedPnL": unrealized_pnl,
            "equity": equity,
            "totalTrades": total_trades,
            "lossLimitUtilization": loss_limit_utilization,
            "timeElapsed": time_elapsed,
            "performanceScore": performance_score,
        }
        return await self._of_session("session_status", {"status": status, "data": data}, stamp)

    async def emit_session_completed(
        self,
        final_pnl: Number | None = None,
        *,
        status: Literal["completed", "expired", "emergency_stopped"] = "completed",
        reason: str | None = None,
        total_trades: int | None = None,
        win_rate: float | None = None,
        max_drawdown: Number | None = None,
        duration_s: float | None = None,
        **stamp: Unpack[Stamp],
    ) -> str:
        """Publish that the session ended; with ``final_pnl``, also what came of it."""
        summary = {
            "finalPnL": final_pnl,
            "totalTrades": total_trades,
            "winRate": win_rate,
            "maxDrawdown": max_drawdown,
            "durationS": duration_s,
        }
        fields: dict[str, Any] = {"status": status, "reason": reason}
        if any(value is not None for value in summary.values()):
            fields["summary"] = summary
        return await self._of_session("session_completed", fields, stamp)

    async def emit_algorithm_decision(
        self,
        decision: Literal["buy", "sell", "hold", "close_position"],
        reasoning: str,
        *,
        algorithm_id: str,
        confidence: float,
        symbol: str | None = None,
        price: Number | None = None,
        volume: float | None = None,
        **stamp: Unpack[Stamp],
    ) -> str:
        """Publish what the algorithm decided and why; ``confidence`` from 0 to 1."""
        fields: dict[str, Any] = {"decision": decision, "reasoning": reasoning}
        fields |= {"algorithmId": algorithm_id, "confidence": confidence}
        if symbol is not None or price is not None:
            fields["marketData"] = {"symbol": symbol, "price": price, "volume": volume}
        return await self._of_session("algorithm_decision", fields, stamp)

    async def emit_trade_executed(
        self,
        symbol: str,
        side: Literal["buy", "sell"],
        *,
        quantity: float,
        price: Number,
        order_id: str | None = None,
        fee: Number | None = None,
        realized_pnl: Number | None = None,
        **stamp: Unpack[Stamp],
    ) -> str:
        """Publish a fill. An ``order_id`` is made when there is none."""
        fields: dict[str, Any] = {"symbol": symbol, "side": side, "quantity": quantity}
        fields |= {"price": price, "orderId": order_id or new_id()}
        return await self._of_session(
            "trade_executed", {**fields, "fee": fee, "realizedPnL": realized_pnl}, stamp
        )

    async def emit_position_update(
        self,
        symbol: str,
        quantity: float,
        *,
        average_price: Number | None = None,
        market_price: Number | None = None,
        unrealized_pnl: Number | None = None,
        **stamp: Unpack[Stamp],
    ) -> str:
        """Publish a position as it is now; short is negative."""
        fields: dict[str, Any] = {"symbol": symbol, "quantity": quantity}
        fields |= {"averagePrice": average_price, "marketPrice": market_price}
        return await self._of_session(
            "position_update", {**fields, "unrealizedPnL": unrealized_pnl}, stamp
        )

    async def emit_risk_alert(
        self,
        alert_type: Literal["loss_limit", "time_limit", "volatility", "correlation"],
        message: str,
        *,
        level: AlertLevel,
        current_value: float,
        threshold: float,
        symbol: str | None = None,
        **stamp: Unpack[Stamp],
    ) -> str:
        """Publish an alert of the strategy's own; critical and emergency stay until acked."""
        fields: dict[str, Any] = {"alertType": alert_type, "message": message, "alertLevel": level}
        fields |= {"currentValue": current_value, "threshold": threshold, "symbol": symbol}
        return await self._of_session("risk_alert", fields, stamp)

    async def emit_loss_limit_warning(
        self,
        utilization: float,
        *,
        threshold: float = 75.0,
        message: str | None = None,
        **stamp: Unpack[Stamp],
    ) -> str:
        """Publish that so many per cent of the loss limit are used: a ``risk_alert``, warning."""
        text = message or f"{utilization:.1f} % of the loss limit are used"
        return await self.emit_risk_alert(
            "loss_limit",
            text,
            level="warning",
            current_value=utilization,
            threshold=threshold,
            **stamp,
        )

    async def emit_emergency_stop(
        self,
        reason: str,
        *,
        mode: StopMode = "halt",
        stop_id: str | None = None,
        requested_by: str | None = None,
        **stamp: Unpack[Stamp],
    ) -> str:
        """Publish the order to stop this session."""
        fields = {"reason": reason, "mode": mode, "stopId": stop_id, "requestedBy": requested_by}
        return await self._of_session("emergency_stop", fields, stamp)

    async def emit_emergency_stop_acknowledged(
        self,
        stop_id: str | None = None,
        *,
        state: Literal["acknowledged", "completed", "partial"] = "acknowledged",
        executor: str | None = None,
        message: str | None = None,
        **stamp: Unpack[Stamp],
    ) -> str:
        """Publish an executor's word on a stop: heard, done, or done in part."""
        fields = {"stopId": stop_id, "state": state, "executor": executor, "message": message}
        return await self._of_session("emergency_stop_acknowledged", fields, stamp)

    async def emit_performance_milestone(
        self,
        milestone: str,
        value: Number,
        *,
        message: str | None = None,
        **stamp: Unpack[Stamp],
    ) -> str:
        """Publish that the session reached something worth telling."""
        fields = {"milestone": milestone, "value": value, "message": message}
        return await self._of_session("performance_milestone", fields, stamp)

    async def _of_session(self, event_type: str, fields: Mapping[str, Any], stamp: Stamp) -> str:
        owner = {"userId": self.user, "sessionId": self.session_id}
        return await self._emit(event_type, {**owner, **fields}, stamp)
