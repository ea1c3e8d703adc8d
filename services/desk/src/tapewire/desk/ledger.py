"""Entering events into the tables, and reading them. Whoever enters owns the transaction."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table, delete, false
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tapewire.desk.entry import Counted, Ended, Entry, Measured, Positioned, Started
from tapewire.desk.tables import EVENTS, POSITIONS, SESSIONS
from tapewire.service.database import READ_ONLY

COUNTERS: Final = ("decisions", "trades", "milestones", "alerts")


def upsert_into(connection: AsyncConnection, table: Table) -> Any:
    """Return an INSERT that knows ON CONFLICT, in the database's own dialect."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Yield a connection that only reads, and reads everything as of one moment."""
    options: dict[str, Any] = {READ_ONLY: True}
    if engine.dialect.name == "postgresql":  # SQLite's transactions are so by themselves
        options["isolation_level"] = "REPEATABLE READ"
    async with engine.connect() as connection:
        await connection.execution_options(**options)
        yield connection


async def enter(
    connection: AsyncConnection, entries: Iterable[Entry], *, now: datetime
) -> list[Entry]:
    """Enter events in order; return those that were new.

    One that was entered before, by user and id, changes nothing.
    """
    new: list[Entry] = []
    for entry in entries:
        if entry.kept and not await _enter_event(connection, entry, now):
            continue
        new.append(entry)
        if entry.change is not None:
            await _change_session(connection, entry, now)
    return new


async def _enter_event(connection: AsyncConnection, entry: Entry, now: datetime) -> bool:
    """Enter the event itself; return False when it is there already."""
    insert = (
        upsert_into(connection, EVENTS)
        .values(
            user_id=entry.user,
            event_id=entry.id,
            type=entry.type,
            session_id=entry.session,
            level=entry.level,
            at=entry.at,
            received_at=now,
            body=entry.body,
        )
        .on_conflict_do_nothing(index_elements=["user_id", "event_id"])
        .returning(EVENTS.c.seq)
    )
    return (await connection.execute(insert)).first() is not None


async def _change_session(connection: AsyncConnection, entry: Entry, now: datetime) -> None:
    """Do to the session what the event says; a session never heard of is active."""
    values: dict[str, Any] = {"updated_at": now}
    where: Any = None
    match entry.change:
        case Started():
            values |= {"status": "active", "ended": False, "started": entry.body, "completed": None}
        case Measured(status):
            values |= {"status": status, "metrics": entry.body}
            where = SESSIONS.c.ended == false()
        case Ended(status):
            values |= {"status": status, "ended": True, "completed": entry.body}
        case Counted(counter):
            values |= {counter: SESSIONS.c[counter] + 1}
        case Positioned():
            await _change_position(connection, entry, entry.change)
        case None:
            return
    first = {"status": "active", "ended": False} | dict.fromkeys(COUNTERS, 0) | values
    if isinstance(entry.change, Counted):
        first[entry.change.counter] = 1
    await connection.execute(
        upsert_into(connection, SESSIONS)
        .values(user_id=entry.user, session_id=entry.session, **first)
        .on_conflict_do_update(index_elements=["user_id", "session_id"], set_=values, where=where)
    )


async def _change_position(connection: AsyncConnection, entry: Entry, change: Positioned) -> None:
    key = {"user_id": entry.user, "session_id": entry.session, "symbol": change.symbol}
    if change.closed:
        await connection.execute(delete(POSITIONS).filter_by(**key))
        return
    await connection.execute(
        upsert_into(connection, POSITIONS)
        .values(**key, body=entry.body)
        .on_conflict_do_update(index_elements=list(key), set_={"body": entry.body})
    )
