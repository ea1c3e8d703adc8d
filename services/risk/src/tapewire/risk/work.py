"""One write transaction: all that one cause leads to, or nothing of it."""

from collections.abc import Collection, Iterable
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Table,
    and_,
    bindparam,
    delete,
    select,
    tuple_,
    update,
)
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
from tapewire.service.statements import insert_new, upsert

Key: TypeAlias = tuple[str, str]
"""A session: user id, session id."""

EventKey: TypeAlias = tuple[str, str, str]
"""An event: user id, session id, event id."""

FORGOTTEN: Final = 5000  # events, or sent messages, deleted in one transaction

EVENT_KEY: Final = ("user_id", "session_id", "event_id")

_KEYS: Final = bindparam("keys", expanding=True)
_SESSIONS: Final = (
    select(SESSIONS.c.user_id, SESSIONS.c.session_id, SESSIONS.c.body)
    .where(tuple_(SESSIONS.c.user_id, SESSIONS.c.session_id).in_(_KEYS))
    .with_for_update()
)
_EPISODES: Final = select(
    EPISODES.c.user_id, EPISODES.c.session_id, EPISODES.c.rule, EPISODES.c.body
).where(tuple_(EPISODES.c.user_id, EPISODES.c.session_id).in_(_KEYS))


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

    async def note(self, keys: Collection[EventKey], now: datetime) -> set[EventKey]:
        """Note events as applied; return those that were not. Their sessions must have been read.

        ``keys``: each once.
        """
        rows = [dict(zip(EVENT_KEY, key, strict=True)) | {"applied_at": now} for key in keys]
        noted = await self._insert_new(APPLIED, rows, returning=EVENT_KEY)
        return {(user, session, event) for user, session, event in noted}

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

    async def forget(self, before: datetime) -> bool:
        """Delete what nobody needs any more, but no latched emergency; return whether more is old.

        Not all at once, which could take longer than the database is waited for.
        """
        latched = (
            select(EPISODES.c.rule)
            .where(
                EPISODES.c.user_id == SESSIONS.c.user_id,
                EPISODES.c.session_id == SESSIONS.c.session_id,
                EPISODES.c.state == State.EMERGENCY,
            )
            .exists()
        )
        applied = [APPLIED.c[name] for name in EVENT_KEY]
        old = select(*applied).where(APPLIED.c.applied_at < before).limit(FORGOTTEN)
        sent = select(OUTBOX.c.seq).where(OUTBOX.c.sent_at < before).limit(FORGOTTEN)
        more = False
        for statement in (
            delete(APPLIED).where(tuple_(*applied).in_(old)),
            delete(OUTBOX).where(OUTBOX.c.seq.in_(sent)),
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
            more |= (await self._connection.execute(statement)).rowcount >= FORGOTTEN
        return more

    async def _read(self, keys: Collection[Key]) -> dict[Key, Session]:
        rows = await self._connection.execute(_SESSIONS, {"keys": list(keys)})
        found = {(user, session): session_of(body) for user, session, body in rows}
        if not found:
            return {}
        rows = await self._connection.execute(_EPISODES, {"keys": list(found)})
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

    async def _insert_new(
        self,
        table: Table,
        rows: list[dict[str, Any]],
        unique: tuple[str, ...] | None = None,
        returning: tuple[str, ...] = (),
    ) -> Iterable[Any]:
        if not rows:
            return ()
        statement = insert_new(self._connection.dialect.name, table, unique, returning)
        done = await self._connection.execute(statement, rows)
        return done.all() if returning else ()

    async def _upsert(
        self, table: Table, unique: tuple[str, ...], rows: list[dict[str, Any]]
    ) -> None:
        if rows:
            changed = tuple(name for name in rows[0] if name not in unique)
            statement = upsert(self._connection.dialect.name, table, unique, changed)
            await self._connection.execute(statement, rows)
