"""Forgetting what is old: P&L history bit by bit, all else when it was kept for long enough."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tapewire.desk import pnl
from tapewire.desk.store import reading
from tapewire.desk.tables import ARCHIVED, EVENTS, PNL, POSITIONS, READS, SESSIONS
from tapewire.service.background import Background
from tapewire.service.database import DATABASE_ERRORS

log = logging.getLogger(__name__)

EVERY_S: Final = 3600.0
BATCH: Final = 5000  # rows in one transaction: SQLite has one writer, and events wait meanwhile
THIN: Final = ((timedelta(hours=2), 10), (timedelta(days=1), 60))
"""P&L older than this is kept in buckets of so many seconds."""
WINDOW_S: Final = 3600  # thinned in one transaction; a multiple of every bucket


class Cleaning(Background):
    """Deletes, every hour, what is older than it is kept, and thins P&L history."""

    name = "cleaning"

    def __init__(self, engine: AsyncEngine, *, keep: timedelta) -> None:
        super().__init__()
        self._engine = engine
        self._keep = keep
        self._thinned: dict[int, int] = {}

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
                for age, step in THIN:
                    await self._thin(int((datetime.now(UTC) - age).timestamp()), step)
            except DATABASE_ERRORS as error:
                log.warning("cleaning: %s", error)
            await asyncio.sleep(EVERY_S)

    async def _thin(self, until: int, step: int) -> None:
        """Thin what became older than ``until`` since the last time, an hour of it at a time."""
        since = self._thinned.get(step)
        if since is None:
            async with reading(self._engine) as connection:
                since = await connection.scalar(select(func.min(PNL.c.at))) or until
            since -= since % WINDOW_S
        until -= until % step
        while since < until:
            end = min(since + WINDOW_S, until)
            async with self._engine.begin() as connection:
                await pnl.thin(connection, since, end, step)
            since = self._thinned[step] = end


async def clean(connection: AsyncConnection, *, before: datetime) -> bool:
    """Delete what desk last heard of before that time; return whether there may be more."""
    old = select(EVENTS.c.seq).where(EVENTS.c.received_at < before).limit(BATCH)
    seqs = list(await connection.scalars(old))
    if seqs:
        for marks in (READS, ARCHIVED):
            await connection.execute(delete(marks).where(marks.c.seq.in_(seqs)))
        await connection.execute(delete(EVENTS).where(EVENTS.c.seq.in_(seqs)))
    ended = (
        select(SESSIONS.c.user_id, SESSIONS.c.session_id)
        .where(SESSIONS.c.ended == true(), SESSIONS.c.updated_at < before)
        .limit(BATCH)
    )
    for table in (POSITIONS, SESSIONS):
        key = tuple_(table.c.user_id, table.c.session_id)
        await connection.execute(delete(table).where(key.in_(ended)))
    moment = (PNL.c.user_id, PNL.c.session_id, PNL.c.at)
    past = select(*moment).where(PNL.c.at < int(before.timestamp())).limit(BATCH)
    thrown = await connection.execute(delete(PNL).where(tuple_(*moment).in_(past)))
    return len(seqs) == BATCH or thrown.rowcount == BATCH
