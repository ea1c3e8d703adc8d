"""Risk's contents page: what it consumes, and what each message leads to."""

import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Final

from opentelemetry.trace import SpanKind
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from tapewire.broker import Consumer, Delivery, Link, Settlement, topology
from tapewire.contracts import (
    EmergencyStopAcknowledged,
    EmergencyStopRequested,
    Event,
    InvalidEvent,
    PositionUpdate,
    SessionCompleted,
    SessionStarted,
    SessionStatus,
    TradeExecuted,
    parse_event,
)
from tapewire.risk.engine import Engine
from tapewire.risk.stopping import Stopping
from tapewire.service import metrics, telemetry

log = logging.getLogger(__name__)

PREFETCH: Final = 64  # hides the round trip of a commit; bounds what comes again after a crash


TRIES: Final = 5  # of an event that meets a fault of ours; it must not hold up its shard for ever


def handlers(
    engine: Engine, stopping: Stopping
) -> dict[type[Event], Callable[..., Awaitable[Any]]]:
    """Return message → use case. What is not here is no business of risk and is acked."""
    return {
        SessionStarted: engine.hear,
        SessionStatus: engine.hear,
        TradeExecuted: engine.hear,
        PositionUpdate: engine.hear,
        SessionCompleted: engine.hear,
        EmergencyStopRequested: stopping.hear_request,
        EmergencyStopAcknowledged: stopping.hear_executor,
    }


def shard_consumers(
    link: Link, engine: Engine, stopping: Stopping, *, shards: int
) -> list[Consumer]:
    """Return a consumer for each shard; the broker has one process active on each.

    One event at a time and shard: a session's events are applied in order. Acked once committed.
    """
    table = handlers(engine, stopping)

    async def handle(delivery: Delivery) -> Settlement:
        try:
            event = parse_event(delivery.body)
        except InvalidEvent as error:
            log.warning("no event", extra={"queue": delivery.routing_key, "fault": str(error)})
            return Settlement.DEAD_LETTER
        if (apply := table.get(type(event))) is not None:
            began = monotonic()
            try:
                with telemetry.span("risk.apply", headers=delivery.headers, kind=SpanKind.CONSUMER):
                    await apply(event)
            except Exception as error:
                if _hopeless(error, delivery):
                    log.exception("cannot be applied", extra={"id": event.id, "type": event.type})
                    return Settlement.DEAD_LETTER
                raise
            metrics.histogram(metrics.RISK_COMMIT_LATENCY).record(monotonic() - began)
            metrics.counter(metrics.RISK_APPLIED).add(1, {"type": event.type})
        return Settlement.ACK

    return [
        Consumer(link, topology.risk_shard(n), handle, prefetch=PREFETCH, also=topology.FLEET)
        for n in range(shards)
    ]


def _hopeless(error: Exception, delivery: Delivery) -> bool:
    """Return whether trying again cannot help: bad data, or the same fault time and again.

    A database that is away is worth any number of tries.
    """
    if isinstance(error, DBAPIError):
        return str(getattr(error.orig, "sqlstate", "")).startswith("22")  # SQL: data exception
    if isinstance(error, SQLAlchemyError | OSError):
        return False
    return int(delivery.headers.get("x-delivery-count") or 0) >= TRIES
