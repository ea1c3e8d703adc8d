"""Deliveries of the broker, as trays take them."""

from aiormq.abc import DeliveredMessage
from pydantic_core import from_json

from tapewire.contracts import new_id
from tapewire.edge.connection.effects import Kind, Parcel
from tapewire.edge.transport.frames import Message


def parcel_of(message: DeliveredMessage, kind: Kind) -> Parcel:
    """Return what a delivery to a tray of that kind brings."""
    properties = message.header.properties
    headers = properties.headers or {}
    return Parcel(
        id=properties.message_id or _id_in(message.body),
        message=Message(message.body),
        exchange=message.exchange or "",
        routing_key=message.routing_key or "",
        type=properties.message_type or "",
        redelivered=bool(message.redelivered),
        trace=str(headers.get("traceparent") or "") if kind is Kind.INBOX else "",
    )


def _id_in(body: bytes) -> str:
    """Return the id of a message whose publisher left the AMQP property out."""
    try:
        value = from_json(body)
        return str(value["id"])
    except (ValueError, KeyError, TypeError):
        return new_id()
