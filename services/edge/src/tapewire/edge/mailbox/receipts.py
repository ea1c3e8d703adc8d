"""Telling risk which of its alerts a person acknowledged, so that it does not repeat them.

Like any producer, by way of ``tw.ingest``, after the inbox was settled and in a task of its own: no
ack waits for it. What gets lost here costs one repeat, whose acknowledgement is told in turn; so it
is tried once, and nothing is kept.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

from pydantic_core import from_json

from tapewire.broker import CONNECTION_ERRORS, BrokerError, Publisher
from tapewire.broker.topology import INGEST
from tapewire.contracts import AlertAcknowledged, encode, new_id
from tapewire.edge.connection.effects import Parcel
from tapewire.edge.runtime.tasks import Tasks

log = logging.getLogger(__name__)

TYPE: Final = "risk_alert"
MARK: Final = b'"episodeId"'  # producers' own alerts have none: they cost this look and no more
DEADLINE_S: Final = 30.0  # a broker that restarts is back by then
WAITING: Final = 10_000  # acknowledged alerts while the broker is away; past it, one repeat each
IDS: Final = 1000  # the contract's bound of one event
DRAIN_S: Final = 2.0

Owner: TypeAlias = tuple[str, str]
"""User id, session id."""


def alarms_of(parcels: Iterable[Parcel]) -> Mapping[Owner, Sequence[str]]:
    """Return the ids of risk's own alerts among ``parcels`` by whose they are, in order."""
    found: defaultdict[Owner, list[str]] = defaultdict(list)
    for parcel in parcels:
        try:
            alert = from_json(parcel.message.body)
            if alert["episodeId"]:
                found[str(alert["userId"]), str(alert["sessionId"])].append(str(alert["id"]))
        except (ValueError, KeyError, TypeError):
            continue  # another's alert: it has no episode
    return found


class Receipts:
    """Component: publishes what was acknowledged.

    Args:
        publisher: with confirms.
        tasks: run it.
    """

    name = "receipts"

    def __init__(self, publisher: Publisher, tasks: Tasks) -> None:
        self._publisher = publisher
        self._tasks = tasks
        self._due: list[Parcel] = []
        self._telling: asyncio.Task[None] | None = None

    def acked(self, parcel: Parcel) -> None:
        """A client of the user acknowledged a message of the user's inbox."""
        if parcel.type != TYPE or MARK not in parcel.message.body or len(self._due) >= WAITING:
            return
        self._due.append(parcel)
        if self._telling is None or self._telling.done():
            self._telling = self._tasks.spawn(self._tell(), "tell acknowledgements")

    async def start(self) -> None:
        """Nothing to begin."""

    async def drain(self) -> None:
        """Wait a little for what is being told."""
        if self._telling is not None:
            await asyncio.wait([self._telling], timeout=DRAIN_S)

    async def stop(self) -> None:
        """What is not told by now is not."""

    def health(self) -> str | None:
        """Return None: nobody's alerts depend on it."""
        return None

    async def _tell(self) -> None:
        while self._due:
            due, self._due = self._due, []
            for (user, session), ids in alarms_of(due).items():
                for first in range(0, len(ids), IDS):
                    await self._publish(user, session, ids[first : first + IDS])

    async def _publish(self, user: str, session: str, ids: Sequence[str]) -> None:
        try:
            event = AlertAcknowledged(
                id=new_id(),
                timestamp=datetime.now(UTC),
                user_id=user,
                session_id=session,
                alert_ids=list(ids),
            )
            await self._publisher.publish(
                INGEST,
                "acknowledged",
                encode(event),
                type=event.type,
                message_id=event.id,
                mandatory=True,
                deadline_s=DEADLINE_S,
            )
        except (BrokerError, *CONNECTION_ERRORS, ValueError) as error:
            log.warning("risk does not hear of %d acks: %s", len(ids), error)
