"""What must be seen: alerts, stops and notices."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tapewire.contracts.fields import Id, Percent, PrincipalId, Symbol, Text, Timestamp
from tapewire.contracts.ids import EVERYONE
from tapewire.contracts.message import Event, SessionEvent, UserEvent
from tapewire.contracts.quality import Quality

AlertLevel = Literal["warning", "critical", "emergency"]
StopMode = Literal["halt", "reduce_only", "flatten"]


class RiskAlert(UserEvent):
    """A limit is near or past. Warning is recent; critical and emergency stay until acked.

    What risk raises names its episode: whatever is told of one alarm, from its first level until it
    is over, has the same ``episodeId``. Its critical and emergency alerts are told again, as
    messages of their own with ``repeat``, until somebody acknowledged any of them.
    """

    quality: ClassVar = Quality.RECENT
    kind: ClassVar = "{alert_type}.{alert_level}"

    type: Literal["risk_alert"] = "risk_alert"
    session_id: PrincipalId | None = None
    alert_level: AlertLevel
    alert_type: Literal[
        "loss_limit", "time_limit", "volatility", "correlation", "data_stale", "stop_unconfirmed"
    ]
    message: Text
    current_value: Percent
    threshold: Percent
    symbol: Symbol | None = None
    episode_id: Annotated[
        Id | None, Field(description="The alarm that it belongs to; set by risk.")
    ] = None
    repeat: Annotated[
        int | None,
        Field(ge=1, description="Told again for the n-th time: nobody acknowledged it."),
    ] = None


class AlertAcknowledged(SessionEvent):
    """A person acknowledged risk's alerts: their inbox has let go of them. Said by the edge."""

    quality: ClassVar = Quality.RECENT
    kind: ClassVar = "command.alert_acknowledged"
    shown: ClassVar = False

    type: Literal["alert_acknowledged"] = "alert_acknowledged"
    alert_ids: Annotated[list[Id], Field(min_length=1, max_length=1000)]


class VolatilityAlert(Event):
    """An instrument moves more than it used to. Without ``userId`` it is for all who watch it."""

    quality: ClassVar = Quality.RECENT
    kind: ClassVar = "volatility_alert.{alert_level}"

    type: Literal["volatility_alert"] = "volatility_alert"
    user_id: PrincipalId | None = None
    session_id: PrincipalId | None = None
    symbol: Symbol
    alert_level: AlertLevel = "warning"
    message: Text
    current_value: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    threshold: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class EmergencyStop(SessionEvent):
    """The order to stop a session, to its user and to whatever executes for it."""

    quality: ClassVar = Quality.CRITICAL
    kind: ClassVar = "emergency_stop.emergency"

    type: Literal["emergency_stop"] = "emergency_stop"
    stop_id: Id | None = None
    mode: StopMode = "halt"
    reason: Text
    requested_by: Annotated[str | None, Field(max_length=128, description="A rule or a user.")] = (
        None
    )


class EmergencyStopRequested(SessionEvent):
    """A person asks for a stop (a client's ``command``)."""

    quality: ClassVar = Quality.RECENT
    kind: ClassVar = "command.emergency_stop_requested"
    shown: ClassVar = False

    type: Literal["emergency_stop_requested"] = "emergency_stop_requested"
    mode: StopMode = "halt"
    reason: Text | None = None
    requested_by: Annotated[str | None, Field(max_length=128)] = None
    idempotency_key: Id


class EmergencyStopAcknowledged(SessionEvent):
    """An executor's word on a stop."""

    quality: ClassVar = Quality.RECENT
    kind: ClassVar = "command.emergency_stop_acknowledged"
    shown: ClassVar = False

    type: Literal["emergency_stop_acknowledged"] = "emergency_stop_acknowledged"
    stop_id: Id | None = None
    state: Literal["acknowledged", "completed", "partial"] = "acknowledged"
    executor: Annotated[str | None, Field(max_length=128)] = None
    message: Text | None = None


class SystemNotification(Event):
    """A notice from those who run the system, to one user or to everyone (``userId: all``)."""

    quality: ClassVar = Quality.RECENT
    kind: ClassVar = "system_notification.{level}"

    type: Literal["system_notification"] = "system_notification"
    user_id: Annotated[Id, Field(description="A user, or 'all' for everyone.")] = EVERYONE
    level: Literal["info", "warning", "critical"] = "info"
    category: Literal["system", "maintenance"] = "system"
    title: Annotated[str, Field(min_length=1, max_length=200)]
    message: Text
    starts_at: Timestamp | None = None
    ends_at: Timestamp | None = None
