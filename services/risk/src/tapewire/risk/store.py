"""Risk's state in SQL: everything that one event causes is one transaction."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, RowMapping, Table, and_, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tapewire.risk.episode import OPEN, Episode, State
from tapewire.risk.outgoing import Outgoing
from tapewire.risk.session import Session
from tapewire.risk.stops import Stop, StopState
from tapewire.risk.tables import APPLIED, EPISODES, OUTBOX, SESSIONS, STOPS
from tapewire.service.database import READ_ONLY

_SESSION: Final = TypeAdapter(Session)
_EPISODE: Final = TypeAdapter(Episode)


class Work:
    """One write transaction. What it read of a session nobody else changes meanwhile."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.put_out = False  # whether the outbox got something

    async def note(self, user: str, session: str, event_id: str, now: datetime) -> bool:
        """Note an event as applied; return False when it was before."""
        row = {"user_id": user, "session_id": session, "event_id": event_id, "applied_at": now}
        return await self._insert_new(APPLIED, row)

    async def session(self, user: str, session: str, now: datetime) -> Session:
        """Return a session with its episodes, new when it is not known. Locks it."""
        if (found := await self.known_session(user, session)) is not None:
            return found
        body = _SESSION.dump_json(Session(user, session)).decode()
        row = {"user_id": user, "session_id": session, "body": body, "updated_at": now}
        await self._insert_new(SESSIONS, row)  # a row to lock, whoever else comes first
        return await self.known_session(user, session) or Session(user, session)

    async def save(self, session: Session, due_at: datetime | None, now: datetime) -> None:
        """Write a session and its episodes."""
        body = _SESSION.dump_json(replace(session, episodes={})).decode()
        key = {"user_id": session.user, "session_id": session.session}
        await self._upsert(SESSIONS, key, {"body": body, "due_at": due_at, "updated_at": now})
        for rule, episode in session.episodes.items():
            body = _EPISODE.dump_json(episode).decode()
            await self._upsert(
                EPISODES, key | {"rule": rule}, {"state": episode.state, "body": body}
            )

    async def put(self, message: Outgoing, now: datetime) -> None:
        """Add a message to the outbox, unless it is there already."""
        row = asdict(message) | {"created_at": now}
        self.put_out |= await self._insert_new(OUTBOX, row, ("message_id", "exchange"))

    async def stop(self, stop_id: str) -> Stop | None:
        """Return a stop. Locks it."""
        rows = await self._stops(STOPS.c.id == stop_id)
        return rows[0] if rows else None

    async def stops_of(self, user: str, session: str) -> list[Stop]:
        """Return a session's stops, oldest first. Locks them."""
        return await self._stops(and_(STOPS.c.user_id == user, STOPS.c.session_id == session))

    async def save_stop(self, stop: Stop) -> None:
        """Write a stop."""
        row = stop_row(stop)
        await self._upsert(STOPS, {"id": row.pop("id")}, row)

    async def mark_sent(self, seq: int, now: datetime) -> None:
        """Note that the broker has a message."""
        await self._connection.execute(
            update(OUTBOX).where(OUTBOX.c.seq == seq).values(sent_at=now)
        )

    async def forget(self, before: datetime) -> int:
        """Delete what nobody needs any more, but no latched emergency; return how many rows."""
        latched = (
            select(EPISODES.c.rule)
            .where(
                EPISODES.c.user_id == SESSIONS.c.user_id,
                EPISODES.c.session_id == SESSIONS.c.session_id,
                EPISODES.c.state == State.EMERGENCY,
            )
            .exists()
        )
        gone = 0
        for statement in (
            delete(APPLIED).where(APPLIED.c.applied_at < before),
            delete(OUTBOX).where(OUTBOX.c.sent_at < before),
            delete(SESSIONS).where(SESSIONS.c.updated_at < before, ~latched),
            delete(EPISODES).where(
                ~select(SESSIONS.c.user_id)
                .where(
                    SESSIONS.c.user_id == EPISODES.c.user_id,
                    SESSIONS.c.session_id == EPISODES.c.session_id,
                )
                .exists()
            ),
        ):
            gone += (await self._connection.execute(statement)).rowcount
        return gone

    async def known_session(self, user: str, session: str) -> Session | None:
        """Return a session with its episodes if it is known. Locks it."""
        where = and_(SESSIONS.c.user_id == user, SESSIONS.c.session_id == session)
        body = await self._connection.scalar(select(SESSIONS.c.body).where(where).with_for_update())
        if body is None:
            return None
        rows = await self._connection.execute(
            select(EPISODES.c.rule, EPISODES.c.body).where(
                EPISODES.c.user_id == user, EPISODES.c.session_id == session
            )
        )
        episodes = {rule: _EPISODE.validate_json(text) for rule, text in rows}
        return replace(_SESSION.validate_json(body), episodes=episodes)

    async def _stops(self, where: ColumnElement[bool]) -> list[Stop]:
        rows = await self._connection.execute(
            select(STOPS).where(where).order_by(STOPS.c.requested_at).with_for_update()
        )
        return [stop_of(row) for row in rows.mappings()]

    def _insert(self, table: Table) -> Any:
        dialect = sqlite if self._connection.dialect.name == "sqlite" else postgresql
        return dialect.insert(table)

    async def _insert_new(
        self, table: Table, row: dict[str, Any], unique: Sequence[str] | None = None
    ) -> bool:
        statement = self._insert(table).values(row).on_conflict_do_nothing(index_elements=unique)
        return (await self._connection.execute(statement)).rowcount == 1

    async def _upsert(self, table: Table, key: dict[str, Any], values: dict[str, Any]) -> None:
        statement = self._insert(table).values(key | values)
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=list(key), set_=values)
        )


class Store:
    """Where risk keeps its state.

    On SQLite, which has one writer, the process's transactions queue here rather than in SQLite's
    own busy loop, which sleeps between tries.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._reads = engine.execution_options(**{READ_ONLY: True})
        self._turn = asyncio.Lock() if engine.dialect.name == "sqlite" else None

    @asynccontextmanager
    async def work(self) -> AsyncGenerator[Work]:
        """Open a write transaction: committed at the end, rolled back on any error."""
        if self._turn is None:
            async with self.engine.begin() as connection:
                yield Work(connection)
            return
        async with self._turn, self.engine.begin() as connection:
            yield Work(connection)

    async def due(self, now: datetime, *, limit: int) -> list[tuple[str, str]]:
        """Return (user, session) whose clock must be looked at, the longest waiting first."""
        statement = (
            select(SESSIONS.c.user_id, SESSIONS.c.session_id)
            .where(SESSIONS.c.due_at <= now)
            .order_by(SESSIONS.c.due_at)
            .limit(limit)
        )
        return [(user, session) for user, session in await self._rows(statement)]

    async def overdue_stops(self, now: datetime) -> list[str]:
        """Return the ids of stops that no executor answered in time."""
        statement = select(STOPS.c.id).where(
            STOPS.c.state == StopState.DISPATCHED, STOPS.c.deadline_at <= now
        )
        return [row[0] for row in await self._rows(statement)]

    async def unsent(self, *, limit: int) -> list[tuple[int, Outgoing]]:
        """Return (sequence number, message) of what waits in the outbox, oldest first."""
        statement = (
            select(OUTBOX).where(OUTBOX.c.sent_at.is_(None)).order_by(OUTBOX.c.seq).limit(limit)
        )
        found: list[tuple[int, Outgoing]] = []
        for row in await self._mappings(statement):
            fields = {k: v for k, v in row.items() if k not in {"seq", "created_at", "sent_at"}}
            found.append((row["seq"], Outgoing(**fields)))
        return found

    async def backlog(self) -> tuple[int, datetime | None]:
        """Return how many messages wait in the outbox, and since when the oldest does."""
        statement = select(func.count(), func.min(OUTBOX.c.created_at)).where(
            OUTBOX.c.sent_at.is_(None)
        )
        count, oldest = (await self._rows(statement))[0]
        return count, oldest

    async def sessions(
        self, *, users: Collection[str] | None = None, session: str | None = None
    ) -> list[Session]:
        """Return sessions without their episodes, of these users or of everybody."""
        where = _owned(SESSIONS, users, session)
        statement = select(SESSIONS.c.body).where(*where).order_by(SESSIONS.c.updated_at.desc())
        return [_SESSION.validate_json(row[0]) for row in await self._rows(statement)]

    async def open_episodes(
        self, *, users: Collection[str] | None = None
    ) -> list[tuple[str, str, str, Episode]]:
        """Return (user, session, rule, episode) of the open episodes of these users, or all."""
        where = [EPISODES.c.state.in_(OPEN), *_owned(EPISODES, users, None)]
        found = await self._mappings(select(EPISODES).where(*where))
        return [
            (row["user_id"], row["session_id"], row["rule"], _EPISODE.validate_json(row["body"]))
            for row in found
        ]

    async def stops(
        self, *, users: Collection[str] | None = None, session: str | None = None
    ) -> list[Stop]:
        """Return the stops of these users, or of everybody, newest first."""
        where = _owned(STOPS, users, session)
        statement = select(STOPS).where(*where).order_by(STOPS.c.requested_at.desc()).limit(200)
        return [stop_of(row) for row in await self._mappings(statement)]

    async def _rows(self, statement: Any) -> Sequence[Any]:
        async with self._reads.connect() as connection:
            return (await connection.execute(statement)).all()

    async def _mappings(self, statement: Any) -> Sequence[RowMapping]:
        async with self._reads.connect() as connection:
            return (await connection.execute(statement)).mappings().all()


def _owned(
    table: Table, users: Collection[str] | None, session: str | None
) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if users is not None:
        where.append(table.c.user_id.in_(users))
    if session is not None:
        where.append(table.c.session_id == session)
    return where


def stop_row(stop: Stop) -> dict[str, Any]:
    """Return a stop as its row."""
    row = asdict(stop)
    return row | {"user_id": row.pop("user"), "session_id": row.pop("session")}


def stop_of(row: RowMapping) -> Stop:
    """Return the stop that a row holds."""
    fields: dict[str, Any] = dict(row)
    fields |= {"user": fields.pop("user_id"), "session": fields.pop("session_id")}
    state = StopState(fields.pop("state"))
    return Stop(**fields, state=state)
