"""What desk says on the bus: written with the change it speaks of, published until confirmed."""

import asyncio
import logging
from contextlib import suppress
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tapewire.broker import NotConfirmed, Publisher, full_jitter
from tapewire.contracts import Event, encode, route
from tapewire.desk.tables import OUTBOX
from tapewire.service.background import Background
from tapewire.service.backlog import Backlog
from tapewire.service.database import DATABASE_ERRORS

log = logging.getLogger(__name__)

BATCH: Final = 100
POLL_S: Final = 2.0  # for what a killed process or another one left behind


async def write(connection: AsyncConnection, event: Event, *, now: datetime) -> None:
    """Put ``event`` into the outbox, within the caller's transaction."""
    exchange, routing_key = route(event)
    await connection.execute(
        OUTBOX.insert().values(
            message_id=event.id,
            type=event.type,
            exchange=exchange,
            routing_key=routing_key,
            body=encode(event).decode(),
            written_at=now,
        )
    )


class Outbox(Background):
    """Publishes the outbox in order; a message leaves it once the broker has confirmed it.

    Killed between a confirm and the deletion, it publishes a message a second time, under the
    same id. Two processes on one database may do so too. What desk says can bear it: it is
    absolute, not relative.
    """

    name = "outbox"

    def __init__(self, engine: AsyncEngine, publisher: Publisher) -> None:
        super().__init__()
        self._engine = engine
        self._publisher = publisher
        self._written = asyncio.Event()
        self._backlog = Backlog()

    def wake(self) -> None:
        """Something was committed."""
        self._written.set()

    async def drain(self) -> None:
        """Publish what is committed, unless the broker is away: then it keeps."""
        with suppress(NotConfirmed, *DATABASE_ERRORS):
            while self._publisher.health() is None and await self._publish_some():
                pass

    async def stop(self) -> None:
        """Stop; what is not published stays."""
        await super().stop()
        self._backlog.close()

    async def _run(self) -> None:
        waits = full_jitter(0.2, 5.0)
        while True:
            self._written.clear()
            try:
                while await self._publish_some():
                    waits = full_jitter(0.2, 5.0)
            except (NotConfirmed, *DATABASE_ERRORS) as error:
                self._fault = str(error) or type(error).__name__
                log.warning("outbox: %s", self._fault)
                await asyncio.sleep(next(waits))
                continue
            self._fault = None
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._written.wait()

    async def _publish_some(self) -> bool:
        """Publish the oldest messages; return whether there were any."""
        async with self._engine.connect() as connection:
            rows = (
                await connection.execute(select(OUTBOX).order_by(OUTBOX.c.seq).limit(BATCH))
            ).all()
            count = await connection.scalar(select(func.count()).select_from(OUTBOX)) or 0
        self._backlog.found(count, rows[0].written_at if rows else None)
        for row in rows:
            await self._publisher.publish(
                row.exchange,
                row.routing_key,
                row.body.encode(),
                type=row.type,
                message_id=row.message_id,
            )
            async with self._engine.begin() as connection:
                await connection.execute(delete(OUTBOX).where(OUTBOX.c.seq == row.seq))
        return bool(rows)
