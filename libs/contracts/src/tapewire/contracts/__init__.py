"""Every message of Tapewire: models, class of service, routing, codecs. Imports only pydantic."""

from tapewire.contracts.account import (
    NotificationRead,
    PreferencesChanged,
)
from tapewire.contracts.alerts import (
    AlertAcknowledged,
    AlertLevel,
    EmergencyStop,
    EmergencyStopAcknowledged,
    EmergencyStopRequested,
    RiskAlert,
    StopMode,
    SystemNotification,
    VolatilityAlert,
)
from tapewire.contracts.catalogue import (
    EVENT_TYPES,
    AnyEvent,
)
from tapewire.contracts.codec import (
    MAX_EVENT_BYTES,
    FieldError,
    InvalidEvent,
    encode,
    parse_event,
)
from tapewire.contracts.ids import (
    EVERYONE,
    NotReversible,
    escape,
    new_id,
    unescape,
)
from tapewire.contracts.market import (
    BUNDLE_SHARDS,
    SYMBOLS_HEADER,
    MarketData,
    bundle_key,
    bundle_shard,
    tick_key,
)
from tapewire.contracts.message import (
    Event,
    Model,
    SessionEvent,
    UserEvent,
)
from tapewire.contracts.preferences import (
    MinimumLevels,
    Preferences,
    QuietHours,
    TimeZone,
)
from tapewire.contracts.quality import (
    Quality,
)
from tapewire.contracts.revocations import (
    TokenRevocation,
)
from tapewire.contracts.routing import (
    Route,
    quality_of,
    route,
    session_kinds,
    stop_command_key,
)
from tapewire.contracts.sessions import (
    AlgorithmDecision,
    DecisionQuote,
    PerformanceMilestone,
    PositionUpdate,
    SessionCompleted,
    SessionMetrics,
    SessionStarted,
    SessionState,
    SessionStatus,
    SessionSummary,
    TradeExecuted,
)

__all__ = [
    "BUNDLE_SHARDS",
    "EVENT_TYPES",
    "EVERYONE",
    "MAX_EVENT_BYTES",
    "SYMBOLS_HEADER",
    "AlertAcknowledged",
    "AlertLevel",
    "AlgorithmDecision",
    "AnyEvent",
    "DecisionQuote",
    "EmergencyStop",
    "EmergencyStopAcknowledged",
    "EmergencyStopRequested",
    "Event",
    "FieldError",
    "InvalidEvent",
    "MarketData",
    "MinimumLevels",
    "Model",
    "NotReversible",
    "NotificationRead",
    "PerformanceMilestone",
    "PositionUpdate",
    "Preferences",
    "PreferencesChanged",
    "Quality",
    "QuietHours",
    "RiskAlert",
    "Route",
    "SessionCompleted",
    "SessionEvent",
    "SessionMetrics",
    "SessionStarted",
    "SessionState",
    "SessionStatus",
    "SessionSummary",
    "StopMode",
    "SystemNotification",
    "TimeZone",
    "TokenRevocation",
    "TradeExecuted",
    "UserEvent",
    "VolatilityAlert",
    "bundle_key",
    "bundle_shard",
    "encode",
    "escape",
    "new_id",
    "parse_event",
    "quality_of",
    "route",
    "session_kinds",
    "stop_command_key",
    "tick_key",
    "unescape",
]
