"""What happens in a trading session."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tapewire.contracts.fields import Id, Money, Percent, Price, Symbol, Text
from tapewire.contracts.message import Model, SessionEvent
from tapewire.contracts.quality import Quality

SessionState = Literal["active", "paused", "completed", "expired", "emergency_stopped"]
"""Where a session stands."""


class SessionStarted(SessionEvent):
    """A session began; its limits arm the risk rules."""

    quality: ClassVar = Quality.RECENT
    kind: ClassVar = "session.started"

    type: Literal["session_started"] = "session_started"
    algorithm_id: Id | None = None
    symbols: list[Symbol] | None = Field(default=None, max_length=256)
    initial_equity: Money | None = None
    loss_limit: Annotated[Money | None, Field(gt=0, description="Loss that ends the session.")] = (
        None
    )
    time_limit_s: Annotated[
        int | None, Field(gt=0, description="Age that ends the session, s.")
    ] = None


class SessionMetrics(Model):
    """A session's figures at one instant."""

    current_pnl: Annotated[Money, Field(alias="currentPnL")]
    realized_pnl: Annotated[Money | None, Field(alias="realizedPnL")] = None
    unrealized_pnl: Annotated[Money | None, Field(alias="unrealizedPnL")] = None
    equity: Money | None = None
    total_trades: Annotated[int | None, Field(ge=0)] = None
    loss_limit_utilization: Percent | None = None
    time_elapsed: Annotated[float | None, Field(ge=0, description="Since the start, s.")] = None
    performance_score: float | None = None


class SessionStatus(SessionEvent):
    """A session's state and figures; the newest value is the one that counts."""

    quality: ClassVar = Quality.LIVE
    kind: ClassVar = "session.status"

    type: Literal["session_status"] = "session_status"
    status: SessionState = "active"
    data: SessionMetrics
    snapshot: Literal[True] | None = None


class SessionSummary(Model):
    """What came of a session."""

    final_pnl: Annotated[Money, Field(alias="finalPnL")]
    total_trades: Annotated[int | None, Field(ge=0)] = None
    win_rate: Annotated[float | None, Field(ge=0, le=1)] = None
    max_drawdown: Money | None = None
    duration_s: Annotated[float | None, Field(ge=0)] = None


class SessionCompleted(SessionEvent):
    """A session ended."""

    quality: ClassVar = Quality.RECENT
    kind: ClassVar = "session.completed"

    type: Literal["session_completed"] = "session_completed"
    status: Literal["completed", "expired", "emergency_stopped"] = "completed"
    reason: Text | None = None
    summary: SessionSummary | None = None


class DecisionQuote(Model):
    """The market as the algorithm saw it."""

    symbol: Symbol
    price: Price
    volume: Annotated[float | None, Field(ge=0)] = None


class AlgorithmDecision(SessionEvent):
    """What the algorithm decided, and why."""

    quality: ClassVar = Quality.RECENT
    kind: ClassVar = "decision.{decision}"

    type: Literal["algorithm_decision"] = "algorithm_decision"
    algorithm_id: Id
    decision: Literal["buy", "sell", "hold", "close_position"]
    reasoning: Text
    confidence: Annotated[float, Field(ge=0, le=1)]
    market_data: DecisionQuote | None = None


class TradeExecuted(SessionEvent):
    """An order was filled."""

    quality: ClassVar = Quality.RECENT
    kind: ClassVar = "trade.executed"

    type: Literal["trade_executed"] = "trade_executed"
    symbol: Symbol
    side: Literal["buy", "sell"]
    quantity: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    price: Price
    order_id: Id
    fee: Money | None = None
    realized_pnl: Annotated[Money | None, Field(alias="realizedPnL")] = None


class PositionUpdate(SessionEvent):
    """A position changed."""

    quality: ClassVar = Quality.RECENT
    kind: ClassVar = "position.updated"

    type: Literal["position_update"] = "position_update"
    symbol: Symbol
    quantity: Annotated[float, Field(allow_inf_nan=False, description="Negative when short.")]
    average_price: Price | None = None
    market_price: Price | None = None
    unrealized_pnl: Annotated[Money | None, Field(alias="unrealizedPnL")] = None


class PerformanceMilestone(SessionEvent):
    """A session reached something worth telling."""

    quality: ClassVar = Quality.RECENT
    kind: ClassVar = "milestone.reached"

    type: Literal["performance_milestone"] = "performance_milestone"
    milestone: Text
    value: Money
    message: Text | None = None
