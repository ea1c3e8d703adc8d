"""RabbitMQ as Tapewire uses it: topology as values, links, publishers, consumers."""

from tapewire.broker import topology
from tapewire.broker.backoff import full_jitter
from tapewire.broker.batches import BatchConsumer, BatchHandler
from tapewire.broker.cancelling import cancelled
from tapewire.broker.consumer import Consumer, Handler
from tapewire.broker.declare import declare
from tapewire.broker.delivery import Delivery, Settlement
from tapewire.broker.errors import (
    BrokerError,
    CallTimedOut,
    NotConfirmed,
    NotConnected,
    Unroutable,
)
from tapewire.broker.framing import Question, Stencil, header, transient
from tapewire.broker.link import CONNECTION_ERRORS, Link, Role, unless_closed
from tapewire.broker.pace import Pace
from tapewire.broker.pipe import Outgoing
from tapewire.broker.publisher import Message, Publisher
from tapewire.broker.rpc import Caller, responder
from tapewire.broker.tap import OnDelivery, Tap

__all__ = [
    "CONNECTION_ERRORS",
    "BatchConsumer",
    "BatchHandler",
    "BrokerError",
    "CallTimedOut",
    "Caller",
    "Consumer",
    "Delivery",
    "Handler",
    "Link",
    "Message",
    "NotConfirmed",
    "NotConnected",
    "OnDelivery",
    "Outgoing",
    "Pace",
    "Publisher",
    "Question",
    "Role",
    "Settlement",
    "Stencil",
    "Tap",
    "Unroutable",
    "cancelled",
    "declare",
    "full_jitter",
    "header",
    "responder",
    "topology",
    "transient",
    "unless_closed",
]
