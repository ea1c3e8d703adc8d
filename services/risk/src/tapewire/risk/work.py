"""One write transaction: all that one cause leads to, or nothing of it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Table, and_, delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from tapewire.risk.episode import Episode, State
from tapewire.risk.outgoing import Outgoing
from tapewire.risk.rows import (
    episode_body,
    episode_of,
    session_body,
    session_of,
    stop_of,
    stop_row,
)
from tapewire.risk.session import Session
from tapewire.risk.stops import Stop
from tapewire.risk.tables import APPLIED, EPISODES, OUTBOX, SESSIONS, STOPS

Key: TypeAlias = tuple[str, str]
"""A session: user id, session id."""

EventKey: TypeAlias = tuple[str, str, str]
"""An event: user id, session id, event id."""

_KEY = tuple_(SESSIONS.c.user_id, SESSIONS.c.session_id)
_EPISODE_KEY = tuple_(EPISODES.c.user_id, EPISODES.c.session_id)
_EVENT_KEY = tuple_(APPLIED.c.user_id, APPLIED.c.session_id, APPLIED.c.event_id)


class Work:
    """What may be written in the transaction.

    A session that was read is locked: whether an event of it was applied, its figures and its
    episodes change together or not at all, whoever else is at work.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._episodes: dict[Key, dict[str, Episode]] = {}  # as they were read
        self.put_out = False  # whether the outbox got something

    async def sessions(self, keys: Collection[Key], now: datetime) -> dict[Key, Session]:
        """Return these sessions with their episodes, new ones where they are not known."""
        found = await self._read(keys)
        if missing := [key for key in keys if key not in found]:
            blank = [
                {
                    "user_id": user,
                    "session_id": session,
                    "body": session_body(Session(user, session)),
                    "updated_at": now,
                }
                for user, session in missing
            ]
            await self._insert_new(SESSIONS, blank)  # rows to lock, whoever else comes first
            found |= await self._read(missing)
        return found

    async def session(self, user: str, session: str) -> Session | None:
        """Return a session with its episodes if it is known."""
        return (await self._read([(user, session)])).get((user, session))

    async def applied(self, keys: Collection[EventKey]) -> set[EventKey]:
        """Return which of these events were applied. Their sessions must have been read."""
        rows = await self._connection.execute(
            select(APPLIED.c.user_id, APPLIED.c.session_id, APPLIED.c.event_id).where(
                _EVENT_KEY.in_(keys)
            )
        )
        return {(user, session, event) for user, session, event in rows}

    async def note(self, keys: Iterable[EventKey], now: datetime) -> None:
        """Note events as applied."""
        columns = ("user_id", "session_id", "event_id")
        rows = [dict(zip(columns, key, strict=True)) | {"applied_at": now} for key in keys]
        await self._insert_new(APPLIED, rows)

    async def save(
        self, sessions: Iterable[tuple[Session, datetime | None]], now: datetime
    ) -> None:
        """Write sessions, when each is due, and those of their episodes that changed."""
        rows: list[dict[str, Any]] = []
        episodes: list[dict[str, Any]] = []
        for session, due_at in sessions:
            key = {"user_id": session.user, "session_id": session.session}
            rows.append(key | {"body": session_body(session), "due_at": due_at, "updated_at": now})
            before = self._episodes.get((session.user, session.session), {})
            episodes += [
                key | {"rule": rule, "state": episode.state, "body": episode_body(episode)}
                for rule, episode in session.episodes.items()
                if episode != before.get(rule)
            ]
        await self._upsert(SESSIONS, ("user_id", "session_id"), rows)
        await self._upsert(EPISODES, ("user_id", "session_id", "rule"), episodes)

    async def put(self, message: Outgoing, now: datetime) -> None:
        """Add a message to the outbox, unless it is there already."""
        row = asdict(message) | {"created_at": now}
        await self._insert_new(OUTBOX, [row], ("message_id", "exchange"))
        self.put_out = True

    async def stop(self, stop_id: str) -> Stop | None:
        """Return a stop. Locks it."""
        rows = await self._stops(STOPS.c.id == stop_id)
        return rows[0] if rows else None

    async def stops_of(self, user: str, session: str) -> list[Stop]:
        """Return a session's stops, oldest first. Locks them."""
        return await self._stops(and_(STOPS.c.user_id == user, STOPS.c.session_id == session))

    async def save_stop(self, stop: Stop) -> None:
        """Write a stop."""
        await self._upsert(STOPS, ("id",), [stop_row(stop)])

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

    async def _read(self, keys: Collection[Key]) -> dict[Key, Session]:
        rows = await self._connection.execute(
            select(SESSIONS.c.user_id, SESSIONS.c.session_id, SESSIONS.c.body)
            .where(_KEY.in_(keys))
            .with_for_update()
        )
        found = {(user, session): session_of(body) for user, session, body in rows}
        if not found:
            return {}
        rows = await self._connection.execute(
            select(
                EPISODES.c.user_id, EPISODES.c.session_id, EPISODES.c.rule, EPISODES.c.body
            ).where(_EPISODE_KEY.in_(list(found)))
        )
        for user, session, rule, body in rows:
            self._episodes.setdefault((user, session), {})[rule] = episode_of(body)
        return {
            key: replace(session, episodes=self._episodes.get(key, {}))
            for key, session in found.items()
        }

    async def _stops(self, where: ColumnElement[bool]) -> list[Stop]:
        rows = await self._connection.execute(
            select(STOPS).where(where).order_by(STOPS.c.requested_at).with_for_update()
        )
        return [stop_of(row) for row in rows.mappings()]

    def _insert(self, table: Table) -> Any:
        dialect = sqlite if self._connection.dialect.name == "sqlite" else postgresql
        return dialect.insert(table)

    async def _insert_new(
        self, table: Table, rows: list[dict[str, Any]], unique: Sequence[str] | None = None
    ) -> None:
        if rows:
            statement = self._insert(table).on_conflict_do_nothing(index_elements=unique)
            await self._connection.execute(statement, rows)

    async def _upsert(self, table: Table, key: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
        if rows:
            statement = self._insert(table)
            values = {name: statement.excluded[name] for name in rows[0] if name not in key}
            await self._connection.execute(
                statement.on_conflict_do_update(index_elements=key, set_=values), rows
            )
