"""Entering events into the tables. Whoever enters owns the transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, case, delete, false, literal
from sqlalchemy.ext.asyncio import AsyncConnection

from tapewire.desk import pnl
from tapewire.desk.entry import Entry
from tapewire.desk.patch import Guarded, Patch, SessionKey, patches_of
from tapewire.desk.store import upsert_into
from tapewire.desk.tables import EVENTS, POSITIONS, SESSIONS

COUNTERS: Final = ("decisions", "trades", "milestones", "alerts")


async def enter(
    connection: AsyncConnection, entries: Sequence[Entry], *, now: datetime
) -> list[Entry]:
    """Enter events in order; return those that were new.

    One that was entered before, by user and id, changes nothing. A handful of statements,
    however many events of the same sessions there are.
    """
    new = await _new_of(connection, entries, now)
    patches = patches_of(new)
    await pnl.keep(connection, patches, now=now)  # first: it asks which sessions had ended
    for key, patch in patches.items():
        await _change_session(connection, key, patch, now)
        await _change_positions(connection, key, patch.positions)
    return new


async def _new_of(
    connection: AsyncConnection, entries: Sequence[Entry], now: datetime
) -> list[Entry]:
    """Enter the events themselves; return those that were not there yet, in order."""
    rows = [
        {
            "user_id": entry.user,
            "event_id": entry.id,
            "type": entry.type,
            "session_id": entry.session,
            "level": entry.level,
            "at": entry.at,
            "received_at": now,
            "body": entry.body,
        }
        for entry in entries
        if entry.kept
    ]
    fresh: set[tuple[str, str]] = set()
    if rows:
        insert = (
            upsert_into(connection, EVENTS)
            .values(rows)
            .on_conflict_do_nothing(index_elements=["user_id", "event_id"])
            .returning(EVENTS.c.user_id, EVENTS.c.event_id)
        )
        fresh = {(row.user_id, row.event_id) for row in await connection.execute(insert)}
    new: list[Entry] = []
    for entry in entries:
        if not entry.kept:
            new.append(entry)
        elif (entry.user, entry.id) in fresh:
            fresh.remove((entry.user, entry.id))  # a repetition among these is none of the new
            new.append(entry)
    return new


async def _change_session(
    connection: AsyncConnection, key: SessionKey, patch: Patch, now: datetime
) -> None:
    """Change a session's row; a session never heard of begins as active."""
    first: dict[str, Any] = {"status": "active", "ended": False, "updated_at": now}
    first |= dict.fromkeys(COUNTERS, 0) | dict(patch.counts)
    change: dict[str, Any] = {"updated_at": now}
    for name in ("status", "metrics"):
        guarded: Guarded | None = getattr(patch, name)
        if guarded is not None:
            first[name] = guarded.value
            change[name] = _guarded(SESSIONS.c[name], guarded)
    if patch.ended is not None:
        first["ended"] = change["ended"] = patch.ended
    if patch.started is not None:
        first["started"] = change["started"] = patch.started
    if patch.completed is not None or patch.reopened:
        first["completed"] = change["completed"] = patch.completed
    for counter, count in patch.counts.items():
        change[counter] = SESSIONS.c[counter] + count
    await connection.execute(
        upsert_into(connection, SESSIONS)
        .values(user_id=key[0], session_id=key[1], **first)
        .on_conflict_do_update(
            index_elements=["user_id", "session_id"],
            set_=change,
            where=SESSIONS.c.ended == false() if patch.only_measures else None,
        )
    )


def _guarded(column: ColumnElement[Any], guarded: Guarded) -> Any:
    if not guarded.unless_ended:
        return guarded.value
    return case((SESSIONS.c.ended == false(), literal(guarded.value)), else_=column)


async def _change_positions(
    connection: AsyncConnection, key: SessionKey, positions: dict[str, str | None]
) -> None:
    user, session = key
    open_ones = [
        {"user_id": user, "session_id": session, "symbol": symbol, "body": body}
        for symbol, body in positions.items()
        if body is not None
    ]
    if open_ones:
        insert = upsert_into(connection, POSITIONS).values(open_ones)
        await connection.execute(
            insert.on_conflict_do_update(
                index_elements=["user_id", "session_id", "symbol"],
                set_={"body": insert.excluded.body},
            )
        )
    closed = [symbol for symbol, body in positions.items() if body is None]
    if closed:
        await connection.execute(
            delete(POSITIONS).where(
                POSITIONS.c.user_id == user,
                POSITIONS.c.session_id == session,
                POSITIONS.c.symbol.in_(closed),
            )
        )
