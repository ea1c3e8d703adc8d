"""Forgetting what is old."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, true, tuple_
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tapewire.desk.tables import EVENTS, POSITIONS, READS, SESSIONS

log = logging.getLogger(__name__)

EVERY_S: Final = 3600.0
BATCH: Final = 5000  # rows in one transaction: SQLite has one writer, and events wait meanwhile


class Cleaning:
    """Deletes, every hour, events and ended sessions that are older than they are kept."""

    name = "cleaning"

    def __init__(self, engine: AsyncEngine, *, keep: timedelta) -> None:
        self._engine = engine
        self._keep = keep
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin, with a first look at once."""
        self._task = asyncio.create_task(self._run(), name=self.name)

    async def drain(self) -> None:
        """Nothing to finish."""

    async def stop(self) -> None:
        """Stop; what is half done is rolled back."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def health(self) -> str | None:
        """Return None: what is kept for too long harms nobody."""
        return None

    async def _run(self) -> None:
        while True:
            try:
                more = True
                while more:
                    async with self._engine.begin() as connection:
                        more = await clean(connection, before=datetime.now(UTC) - self._keep)
            except (SQLAlchemyError, OSError) as error:
                log.warning("cleaning: %s", error)
            await asyncio.sleep(EVERY_S)


async def clean(connection: AsyncConnection, *, before: datetime) -> bool:
    """Delete what desk last heard of before that time; return whether there may be more."""
    old = select(EVENTS.c.seq).where(EVENTS.c.received_at < before).limit(BATCH)
    seqs = list(await connection.scalars(old))
    if seqs:
        await connection.execute(delete(READS).where(READS.c.seq.in_(seqs)))
        await connection.execute(delete(EVENTS).where(EVENTS.c.seq.in_(seqs)))
    ended = (
        select(SESSIONS.c.user_id, SESSIONS.c.session_id)
        .where(SESSIONS.c.ended == true(), SESSIONS.c.updated_at < before)
        .limit(BATCH)
    )
    for table in (POSITIONS, SESSIONS):
        key = tuple_(table.c.user_id, table.c.session_id)
        await connection.execute(delete(table).where(key.in_(ended)))
    return len(seqs) == BATCH
