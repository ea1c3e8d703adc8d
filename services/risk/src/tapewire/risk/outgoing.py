"""Messages that follow from a committed change, as they wait in the outbox."""

from dataclasses import dataclass
from datetime import datetime

from tapewire.broker import topology
from tapewire.contracts import EmergencyStop, Event, encode, route, stop_command_key
from tapewire.service import telemetry


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message. Order holds within a ``lane``; a lane that fails holds up no other."""

    lane: str
    message_id: str
    exchange: str
    routing_key: str
    type: str
    body: bytes
    timestamp: datetime
    traceparent: str | None = None
    stop_id: str | None = None  # the stop that is dispatched once the broker has this


def to_clients(event: Event) -> Outgoing:
    """Return the message that brings ``event`` to the clients it concerns."""
    return _message(event, *route(event))


def to_executors(order: EmergencyStop) -> Outgoing:
    """Return the message that brings a stop order to whatever executes on the bus."""
    return _message(order, topology.EVENTS, stop_command_key(order), stop_id=order.stop_id)


def _message(
    event: Event, exchange: str, routing_key: str, *, stop_id: str | None = None
) -> Outgoing:
    return Outgoing(
        lane=f"{getattr(event, 'user_id', None) or '-'} {exchange}",
        message_id=event.id,
        exchange=exchange,
        routing_key=routing_key,
        type=event.type,
        body=encode(event),
        timestamp=event.timestamp,
        traceparent=telemetry.inject(dict[str, str]()).get("traceparent"),
        stop_id=stop_id,
    )
