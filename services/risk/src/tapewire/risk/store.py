"""Risk's state in SQL: transactions to write it, and what others may read of it."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, Table, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from tapewire.risk.episode import OPEN, Episode
from tapewire.risk.outgoing import Outgoing
from tapewire.risk.rows import episode_of, session_of, stop_of
from tapewire.risk.session import Session
from tapewire.risk.stops import Stop, StopState
from tapewire.risk.tables import EPISODES, OUTBOX, SESSIONS, STOPS
from tapewire.risk.work import Work
from tapewire.service.sqlite import READ_ONLY, SHORT

# Asked time and again while nothing happens: built once, since building costs more than asking.
_DUE: Final = (
    select(SESSIONS.c.user_id, SESSIONS.c.session_id)
    .where(SESSIONS.c.due_at <= bindparam("now"))
    .order_by(SESSIONS.c.due_at)
    .limit(bindparam("limit"))
)
_DISPATCHED: Final = select(STOPS.c.id, STOPS.c.deadline_at).where(
    STOPS.c.state == StopState.DISPATCHED, STOPS.c.deadline_at.is_not(None)
)
_UNSENT: Final = (
    select(OUTBOX)
    .where(OUTBOX.c.sent_at.is_(None), OUTBOX.c.lane.not_in(bindparam("but", expanding=True)))
    .order_by(OUTBOX.c.seq)
    .limit(bindparam("limit"))
)
_BACKLOG: Final = select(func.count(), func.min(OUTBOX.c.created_at)).where(
    OUTBOX.c.sent_at.is_(None)
)


class Store:
    """Where risk keeps its state.

    On SQLite, which has one writer, the process's transactions queue here rather than in SQLite's
    own busy loop, which sleeps between tries.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._short = engine.execution_options(**{SHORT: True})
        self._reads = engine.execution_options(**{READ_ONLY: True})
        self._looks = engine.execution_options(**{READ_ONLY: True, SHORT: True})
        self._turn = asyncio.Lock() if engine.dialect.name == "sqlite" else None

    @asynccontextmanager
    async def work(self, *, short: bool = True) -> AsyncGenerator[Work]:
        """Open a write transaction: committed at the end, rolled back on any error.

        ``short``: it touches some rows by their keys (`sqlite.SHORT`).
        """
        engine = self._short if short else self.engine
        if self._turn is None:
            async with engine.begin() as connection:
                yield Work(connection)
            return
        async with self._turn, engine.begin() as connection:
            yield Work(connection)

    async def due(self, now: datetime, *, limit: int) -> list[tuple[str, str]]:
        """Return (user, session) whose clock must be looked at, the longest waiting first."""
        rows = await self._look(_DUE, now=now, limit=limit)
        return [(user, session) for user, session in rows]

    async def dispatched_stops(self) -> dict[str, datetime]:
        """Return the stops that no executor has answered yet, with their deadlines."""
        return {stop: deadline_at for stop, deadline_at in await self._look(_DISPATCHED)}

    async def unsent(self, *, but: Collection[str], limit: int) -> list[tuple[int, Outgoing]]:
        """Return (sequence number, message) of what waits in lanes ``but`` these, oldest first."""
        found: list[tuple[int, Outgoing]] = []
        for row in await self._mappings(_UNSENT, but=list(but), limit=limit):
            fields = {k: v for k, v in row.items() if k not in {"seq", "created_at", "sent_at"}}
            found.append((row["seq"], Outgoing(**fields)))
        return found

    async def backlog(self) -> tuple[int, datetime | None]:
        """Return how many messages wait in the outbox, and since when the oldest does."""
        count, oldest = (await self._rows(_BACKLOG))[0]
        return count, oldest

    async def sessions(
        self, *, users: Collection[str] | None = None, session: str | None = None
    ) -> list[Session]:
        """Return sessions without their episodes, of these users or of everybody."""
        where = _owned(SESSIONS, users, session)
        statement = select(SESSIONS.c.body).where(*where).order_by(SESSIONS.c.updated_at.desc())
        return [session_of(row[0]) for row in await self._rows(statement)]

    async def open_episodes(
        self, *, users: Collection[str] | None = None
    ) -> list[tuple[str, str, str, Episode]]:
        """Return (user, session, rule, episode) of the open episodes of these users, or all."""
        where = [EPISODES.c.state.in_(OPEN), *_owned(EPISODES, users, None)]
        found = await self._mappings(select(EPISODES).where(*where))
        return [
            (row["user_id"], row["session_id"], row["rule"], episode_of(row["body"]))
            for row in found
        ]

    async def count_open(self) -> dict[tuple[str, str], int]:
        """Return how many episodes are open: (rule, state) → number."""
        statement = (
            select(EPISODES.c.rule, EPISODES.c.state, func.count())
            .where(EPISODES.c.state.in_(OPEN))
            .group_by(EPISODES.c.rule, EPISODES.c.state)
        )
        return {(rule, state): count for rule, state, count in await self._rows(statement)}

    async def stops(
        self, *, users: Collection[str] | None = None, session: str | None = None
    ) -> list[Stop]:
        """Return the stops of these users, or of everybody, newest first."""
        where = _owned(STOPS, users, session)
        statement = select(STOPS).where(*where).order_by(STOPS.c.requested_at.desc()).limit(200)
        return [stop_of(row) for row in await self._mappings(statement)]

    async def _look(self, statement: Any, **values: Any) -> Sequence[Any]:
        """Return some rows that an index finds."""
        async with self._looks.connect() as connection:
            return (await connection.execute(statement, values)).all()

    async def _rows(self, statement: Any) -> Sequence[Any]:
        async with self._reads.connect() as connection:
            return (await connection.execute(statement)).all()

    async def _mappings(self, statement: Any, **values: Any) -> Sequence[RowMapping]:
        async with self._reads.connect() as connection:
            return (await connection.execute(statement, values)).mappings().all()


def _owned(
    table: Table, users: Collection[str] | None, session: str | None
) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if users is not None:
        where.append(table.c.user_id.in_(users))
    if session is not None:
        where.append(table.c.session_id == session)
    return where
