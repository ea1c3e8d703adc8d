"""One message from a queue, and what is to become of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from aiormq.abc import DeliveredMessage


class Settlement(Enum):
    """What a handler says of a delivery."""

    ACK = "ack"
    """Done: the broker may forget it."""

    REQUEUE = "requeue"
    """Not now: it and all behind it come again, in order, after a back-off."""

    DEAD_LETTER = "dead_letter"
    """Never: it goes to ``tw.dead`` for an operator to see."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as the broker delivered it."""

    body: bytes
    type: str
    message_id: str
    routing_key: str
    exchange: str
    headers: dict[str, Any]
    redelivered: bool
    timestamp: datetime | None
    reply_to: str | None
    correlation_id: str | None
    tag: int
    app_id: str | None = None

    @classmethod
    def of(cls, message: DeliveredMessage) -> "Delivery":
        """Return the delivery that aiormq's ``message`` is."""
        properties = message.header.properties
        return cls(
            body=message.body,
            type=properties.message_type or "",
            message_id=properties.message_id or "",
            routing_key=message.routing_key or "",
            exchange=message.exchange or "",
            headers=dict(properties.headers or {}),
            redelivered=bool(message.redelivered),
            timestamp=properties.timestamp,
            reply_to=properties.reply_to,
            correlation_id=properties.correlation_id,
            tag=message.delivery_tag or 0,
            app_id=properties.app_id,
        )
