"""Risk's contents page: what it consumes, and what each message leads to."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, Final, TypeAlias

from opentelemetry.trace import SpanKind
from sqlalchemy.exc import DBAPIError

from tapewire.broker import BatchConsumer, Delivery, Link, Settlement, topology
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
from tapewire.service.database import DATABASE_ERRORS

log = logging.getLogger(__name__)

PREFETCH: Final = 128  # one commit for as many events under load; what comes again after a crash
TRIES: Final = 5  # of an event that meets a fault of ours; it must not hold up its shard for ever

HEARD: Final = (SessionStarted, SessionStatus, TradeExecuted, PositionUpdate, SessionCompleted)
"""What sessions tell: `Engine.hear`, as many at once as wait."""

Taken: TypeAlias = tuple[Delivery, Event | None]
Commands: TypeAlias = dict[type[Event], Callable[[Any], Awaitable[None]]]


def commands(stopping: Stopping) -> Commands:
    """Return command → use case. What is neither heard nor commanded is no business of risk."""
    return {
        EmergencyStopRequested: stopping.hear_request,
        EmergencyStopAcknowledged: stopping.hear_executor,
    }


def shard_consumers(
    link: Link, engine: Engine, stopping: Stopping, *, shards: int
) -> list[BatchConsumer]:
    """Return a consumer for each shard; the broker has one process active on each.

    A session's events are in one shard and applied in order. They are acked once committed.
    """
    handle = Handler(engine, commands(stopping))
    return [
        BatchConsumer(link, topology.risk_shard(n), handle, prefetch=PREFETCH, also=topology.FLEET)
        for n in range(shards)
    ]


class Handler:
    """Applies a batch of deliveries, in order.

    Args:
        engine: hears what sessions tell.
        commands: by type of event.
    """

    def __init__(self, engine: Engine, commands: Commands) -> None:
        self._engine = engine
        self._commands = commands

    async def __call__(self, batch: Sequence[Delivery]) -> list[Settlement]:
        """Return the settlement of each delivery, up to the first that is requeued."""
        began = monotonic()
        taken = [(delivery, _parse(delivery)) for delivery in batch]
        settlements = await self._together(taken) or await self._one_by_one(taken)
        metrics.histogram(metrics.RISK_COMMIT_LATENCY).record(monotonic() - began)
        return settlements

    async def _together(self, taken: Sequence[Taken]) -> list[Settlement]:
        """Hear a batch in one transaction; nothing is settled when that cannot be."""
        events = [event for _, event in taken if isinstance(event, HEARD)]
        if len(taken) == 1 or len(events) < len(taken):
            return []
        try:
            await self._engine.hear(events, [delivery.headers for delivery, _ in taken])
        except Exception as error:  # one of them is at fault: which will be seen
            log.warning("one by one", extra={"events": len(taken), "fault": repr(error)})
            return []
        _count(*events)
        return [Settlement.ACK] * len(taken)

    async def _one_by_one(self, taken: Sequence[Taken]) -> list[Settlement]:
        settlements: list[Settlement] = []
        for delivery, event in taken:
            settlements.append(await self._one(delivery, event))
            if settlements[-1] is Settlement.REQUEUE:
                break
        return settlements

    async def _one(self, delivery: Delivery, event: Event | None) -> Settlement:
        if event is None:
            return Settlement.DEAD_LETTER
        try:
            if isinstance(event, HEARD):
                await self._engine.hear([event], [delivery.headers])
            elif (command := self._commands.get(type(event))) is not None:
                with telemetry.span("risk.stop", headers=delivery.headers, kind=SpanKind.CONSUMER):
                    await command(event)
        except Exception as error:
            hopeless = _hopeless(error, delivery)
            log.exception("not applied", extra={"type": event.type, "hopeless": hopeless})
            return Settlement.DEAD_LETTER if hopeless else Settlement.REQUEUE
        _count(event)
        return Settlement.ACK


def _count(*events: Event) -> None:
    for event in events:
        metrics.counter(metrics.RISK_APPLIED).add(1, {"type": event.type})


def _parse(delivery: Delivery) -> Event | None:
    try:
        return parse_event(delivery.body)
    except InvalidEvent as error:
        log.warning("no event", extra={"key": delivery.routing_key, "fault": str(error)})
        return None


def _hopeless(error: Exception, delivery: Delivery) -> bool:
    """Return whether trying again cannot help: bad data, or the same fault time and again.

    A database that is away is worth any number of tries.
    """
    if isinstance(error, DBAPIError):
        return str(getattr(error.orig, "sqlstate", "")).startswith("22")  # SQL: data exception
    if isinstance(error, DATABASE_ERRORS):
        return False
    return int(delivery.headers.get("x-delivery-count") or 0) >= TRIES
