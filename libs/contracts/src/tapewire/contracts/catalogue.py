"""The catalogue: every event type there is. A new type is one line here."""

from typing import Annotated, Final, get_args

from pydantic import Field, TypeAdapter

from tapewire.contracts.account import NotificationRead, PreferencesChanged
from tapewire.contracts.alerts import (
    AlertAcknowledged,
    EmergencyStop,
    EmergencyStopAcknowledged,
    EmergencyStopRequested,
    RiskAlert,
    SystemNotification,
    VolatilityAlert,
)
from tapewire.contracts.market import MarketData
from tapewire.contracts.message import Event
from tapewire.contracts.sessions import (
    AlgorithmDecision,
    PerformanceMilestone,
    PositionUpdate,
    SessionCompleted,
    SessionStarted,
    SessionStatus,
    TradeExecuted,
)

OneEvent = (
    SessionStarted
    | SessionStatus
    | SessionCompleted
    | AlgorithmDecision
    | TradeExecuted
    | PositionUpdate
    | PerformanceMilestone
    | RiskAlert
    | AlertAcknowledged
    | VolatilityAlert
    | EmergencyStop
    | EmergencyStopRequested
    | EmergencyStopAcknowledged
    | SystemNotification
    | MarketData
    | NotificationRead
    | PreferencesChanged
)

AnyEvent = Annotated[OneEvent, Field(discriminator="type")]
"""One event of any type, told apart by ``type``."""

ADAPTER: Final[TypeAdapter[Event]] = TypeAdapter(AnyEvent)

EVENT_TYPES: Final[dict[str, type[Event]]] = {
    model.model_fields["type"].default: model for model in get_args(OneEvent)
}
"""``type`` → model."""
