"""One ``emit_…`` for each event of the desk, its fields as arguments.

Names on the wire are the ``camelCase`` of the arguments; ``InvalidEvent`` speaks of those.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypedDict, Unpack

from tapewire.contracts import EVERYONE, AlertLevel, Event, parse_event

Number = Decimal | float | str
"""An amount or a price; a ``str`` is taken digit by digit."""


class Stamp(TypedDict, total=False):
    """What every ``emit_…`` takes besides its own fields.

    Attributes:
        event_id: 1 to 64 characters; a repeated id is taken once. Made when left out.
        timestamp: when it happened, with an offset; now when left out.
        ack: True lifts a recent event to critical: kept until its user acknowledged it.
        deadline_s: in place of the publisher's own.
    """

    event_id: str
    timestamp: datetime
    ack: bool
    deadline_s: float


class DeskEmitters:
    """Events that need no session.

    Attributes:
        user: whose the notices and alerts are unless they say so; None: everyone's.
        session_id: the session that volatility alerts belong to.
    """

    user: str | None = None
    session_id: str | None = None

    async def publish(self, event: Event, *, deadline_s: float | None = None) -> str:
        """Publish one event and return its id."""
        raise NotImplementedError

    async def emit_market_data(
        self,
        symbol: str,
        last: Number,
        *,
        bid: Number | None = None,
        ask: Number | None = None,
        volume: float | None = None,
        change: float | None = None,
        **stamp: Unpack[Stamp],
    ) -> str:
        """Publish an instrument's newest quote; ``change`` is per cent since the open."""
        fields: dict[str, Any] = {"symbol": symbol, "last": last, "bid": bid, "ask": ask}
        fields |= {"volume": volume, "change": change}
        return await self._emit("market_data", fields, stamp)

    async def emit_volatility_alert(
        self,
        symbol: str,
        message: str,
        *,
        current_value: float,
        threshold: float,
        level: AlertLevel = "warning",
        user: str | None = None,
        **stamp: Unpack[Stamp],
    ) -> str:
        """Publish that an instrument moves more than usual, to a user or to all who watch it."""
        fields: dict[str, Any] = {"symbol": symbol, "message": message, "alertLevel": level}
        fields |= {"currentValue": current_value, "threshold": threshold}
        fields |= {"userId": user or self.user, "sessionId": self.session_id}
        return await self._emit("volatility_alert", fields, stamp)

    async def emit_system_notification(
        self,
        title: str,
        message: str,
        *,
        level: Literal["info", "warning", "critical"] = "info",
        user: str | None = None,
        **stamp: Unpack[Stamp],
    ) -> str:
        """Publish a notice to a user, or to everyone."""
        fields: dict[str, Any] = {"title": title, "message": message, "level": level}
        fields["userId"] = user or self.user or EVERYONE
        return await self._emit("system_notification", fields, stamp)

    async def emit_maintenance_notice(
        self,
        title: str,
        message: str,
        *,
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
        level: Literal["info", "warning", "critical"] = "warning",
        user: str | None = None,
        **stamp: Unpack[Stamp],
    ) -> str:
        """Publish when the desk will not be available."""
        fields: dict[str, Any] = {"title": title, "message": message, "level": level}
        fields |= {"category": "maintenance", "startsAt": starts_at, "endsAt": ends_at}
        fields["userId"] = user or self.user or EVERYONE
        return await self._emit("system_notification", fields, stamp)

    async def _emit(self, event_type: str, fields: Mapping[str, Any], stamp: Stamp) -> str:
        raw = {
            **{name: value for name, value in fields.items() if value is not None},
            "type": event_type,
            "id": stamp.get("event_id"),
            "timestamp": stamp.get("timestamp"),
        }
        if "ack" in stamp:
            raw["ack"] = stamp["ack"]
        return await self.publish(parse_event(raw), deadline_s=stamp.get("deadline_s"))
