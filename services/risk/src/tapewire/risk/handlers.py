"""Risk's contents page: what it consumes, and what each message leads to."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, TypeAlias

from opentelemetry.trace import SpanKind
from sqlalchemy.exc import DBAPIError

from tapewire.broker import BatchConsumer, Delivery, Link, Pace, Settlement, topology
from tapewire.contracts import (
    AlertAcknowledged,
    EmergencyStopAcknowledged,
    EmergencyStopRequested,
    Event,
    InvalidEvent,
    PositionUpdate,
    SessionCompleted,
    SessionEvent,
    SessionStarted,
    SessionStatus,
    TradeExecuted,
    parse_event,
)
from tapewire.risk.engine import Engine
from tapewire.risk.outlook import Outlook
from tapewire.risk.stopping import Stopping, utc_now
from tapewire.service import metrics, telemetry
from tapewire.service.database import DATABASE_ERRORS

log = logging.getLogger(__name__)

PREFETCH: Final = 128  # one commit for as many events under load; what comes again after a crash
PACE_S: Final = 0.2  # between commits without an alarm: 2 ms of CPU and a flush each
TRIES: Final = 5  # of an event that meets a fault of ours; it must not hold up its shard for ever

HEARD: Final = (
    SessionStarted,
    SessionStatus,
    TradeExecuted,
    PositionUpdate,
    SessionCompleted,
    AlertAcknowledged,
)
"""What sessions tell, and people of their alarms: `Engine.hear`, as many at once as wait."""

Taken: TypeAlias = tuple[Delivery, Event | None]
Commands: TypeAlias = dict[type[Event], Callable[[Any], Awaitable[None]]]


def commands(stopping: Stopping) -> Commands:
    """Return command → use case. What is neither heard nor commanded is no business of risk."""
    return {
        EmergencyStopRequested: stopping.hear_request,
        EmergencyStopAcknowledged: stopping.hear_executor,
    }


def shard_consumers(
    link: Link, engine: Engine, stopping: Stopping, outlook: Outlook, *, shards: int
) -> list[BatchConsumer]:
    """Return a consumer for each shard; the broker has one process active on each.

    A session's events are in one shard and applied in order. They are acked once committed.
    """
    handle = Handler(engine, commands(stopping), outlook)
    pace = Pace(PACE_S, handle.is_urgent)
    return [
        BatchConsumer(
            *(link, topology.risk_shard(n), handle),
            prefetch=PREFETCH,
            also=topology.FLEET,
            pace=pace,
        )
        for n in range(shards)
    ]


@dataclass(eq=False, slots=True)
class _Batch:
    """A shard's batch, and what became of it; what nobody got to comes again."""

    taken: list[Taken]
    settlements: list[Settlement] = field(default_factory=lambda: [Settlement.REQUEUE])


class Handler:
    """Applies batches of deliveries, each in order.

    One transaction at a time, of the batches of all shards that wait for it.

    Args:
        engine: hears what sessions tell.
        commands: by type of event.
        outlook: sees alarms come.
    """

    def __init__(self, engine: Engine, commands: Commands, outlook: Outlook) -> None:
        self._engine = engine
        self._commands = commands
        self._outlook = outlook
        self._waiting: list[_Batch] = []
        self._turn = asyncio.Lock()

    def is_urgent(self, delivery: Delivery) -> bool:
        """Return whether a delivery must be applied at once: all that is, or may be, an alarm."""
        try:
            event = parse_event(delivery.body)
            return not isinstance(event, HEARD) or self._outlook.is_urgent(event, utc_now())
        except Exception:  # what is wrong with it will be seen when it is applied
            return True

    async def __call__(self, batch: Sequence[Delivery]) -> list[Settlement]:
        """Return the settlement of each delivery, up to the first that is requeued."""
        mine = _Batch([(delivery, _parse(delivery)) for delivery in batch])
        self._waiting.append(mine)
        async with self._turn:
            if mine in self._waiting:  # else whoever had the turn before took it along
                await asyncio.sleep(0)  # other shards' batches come in this turn of the loop
                batches, self._waiting = self._waiting, []
                await self._apply(batches)
        return mine.settlements

    async def _apply(self, batches: Sequence[_Batch]) -> None:
        began = monotonic()
        if not await self._together(batches):
            for batch in batches:
                if len(batches) == 1 or not await self._together([batch]):
                    batch.settlements = await self._one_by_one(batch.taken)
        metrics.histogram(metrics.RISK_COMMIT_LATENCY).record(monotonic() - began)

    async def _together(self, batches: Sequence[_Batch]) -> bool:
        """Hear batches in one transaction; return False, and settle nothing, if that cannot be."""
        taken = [one for batch in batches for one in batch.taken]
        events = [event for _, event in taken if isinstance(event, HEARD)]
        if len(taken) == 1 or len(events) < len(taken):
            return False
        try:
            await self._hear(events, taken)
        except Exception as error:  # one of them is at fault: which will be seen
            log.warning("one by one", extra={"events": len(taken), "fault": repr(error)})
            return False
        for batch in batches:
            batch.settlements = [Settlement.ACK] * len(batch.taken)
        _count(*events)
        return True

    async def _hear(self, events: Sequence[SessionEvent], taken: Sequence[Taken]) -> None:
        heard = await self._engine.hear(events, [delivery.headers for delivery, _ in taken])
        self._outlook.remember(heard)

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
                await self._hear([event], [(delivery, event)])
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
