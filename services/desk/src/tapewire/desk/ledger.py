"""Entering events into the tables. Whoever enters owns the transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    ColumnElement,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    or_,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from tapewire.desk import pnl
from tapewire.desk.entry import Entry
from tapewire.desk.patch import Guarded, Patch, SessionKey, patches_of
from tapewire.desk.tables import EVENTS, POSITIONS, SESSIONS
from tapewire.service.statements import insert_into, insert_new, upsert

COUNTERS: Final = ("decisions", "trades", "milestones", "alerts")

_POSITION: Final = ("user_id", "session_id", "symbol")
_CLOSE: Final = delete(POSITIONS).where(
    *(POSITIONS.c[name] == bindparam(f"closed_{name}") for name in _POSITION)
)


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
    if patches:
        rows = [_row_of(key, patch, now) for key, patch in patches.items()]
        await connection.execute(_change_sessions(connection.dialect.name), rows)
    await _change_positions(connection, patches)
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
        insert = insert_new(
            connection.dialect.name, EVENTS, ("user_id", "event_id"), ("user_id", "event_id")
        )
        fresh = {(row.user_id, row.event_id) for row in await connection.execute(insert, rows)}
    new: list[Entry] = []
    for entry in entries:
        if not entry.kept:
            new.append(entry)
        elif (entry.user, entry.id) in fresh:
            fresh.remove((entry.user, entry.id))  # a repetition among these is none of the new
            new.append(entry)
    return new


def _row_of(key: SessionKey, patch: Patch, now: datetime) -> dict[str, Any]:
    """Return what `_change_sessions` takes: a new session's row, and what of it is changed."""
    return {
        "user_id": key[0],
        "session_id": key[1],
        "status": patch.status.value if patch.status else "active",
        "set_status": _is_set(patch.status, ended=False),
        "set_status_of_ended": _is_set(patch.status, ended=True),
        "metrics": patch.metrics.value if patch.metrics else None,
        "set_metrics": _is_set(patch.metrics, ended=False),
        "set_metrics_of_ended": _is_set(patch.metrics, ended=True),
        "ended": bool(patch.ended),
        "set_ended": patch.ended is not None,
        "started": patch.started,
        "completed": patch.completed,
        "set_completed": patch.completed is not None or patch.reopened,
        "updated_at": now,
        "set_ended_ones": not patch.only_measures,
        **{counter: patch.counts[counter] for counter in COUNTERS},
    }


def _is_set(guarded: Guarded | None, *, ended: bool) -> bool:
    """Return whether the value is set in a session that had ended before, or that had not."""
    return guarded is not None and not (ended and guarded.unless_ended)


@cache
def _change_sessions(dialect: str) -> Any:
    """Return the statement that changes sessions; one never heard of begins as active."""
    insert = insert_into(dialect, SESSIONS)
    was_open = SESSIONS.c.ended == false()

    def given(name: str) -> ColumnElement[bool]:
        return bindparam(name, type_=Boolean) == true()

    def changed(name: str, when: ColumnElement[bool]) -> ColumnElement[Any]:
        return case((when, insert.excluded[name]), else_=SESSIONS.c[name])

    def guarded(name: str) -> ColumnElement[Any]:
        unguarded = given(f"set_{name}_of_ended")
        return changed(name, or_(unguarded, and_(given(f"set_{name}"), was_open)))

    return insert.on_conflict_do_update(
        index_elements=["user_id", "session_id"],
        set_={
            "status": guarded("status"),
            "metrics": guarded("metrics"),
            "ended": changed("ended", given("set_ended")),
            "started": func.coalesce(insert.excluded.started, SESSIONS.c.started),
            "completed": changed("completed", given("set_completed")),
            "updated_at": insert.excluded.updated_at,
            **{name: SESSIONS.c[name] + insert.excluded[name] for name in COUNTERS},
        },
        where=or_(given("set_ended_ones"), was_open),
    )


async def _change_positions(
    connection: AsyncConnection, patches: Mapping[SessionKey, Patch]
) -> None:
    rows = [
        {"user_id": user, "session_id": session, "symbol": symbol, "body": body}
        for (user, session), patch in patches.items()
        for symbol, body in patch.positions.items()
    ]
    if opened := [row for row in rows if row["body"] is not None]:
        statement = upsert(connection.dialect.name, POSITIONS, _POSITION, ("body",))
        await connection.execute(statement, opened)
    if closed := [row for row in rows if row["body"] is None]:
        keys = [{f"closed_{name}": row[name] for name in _POSITION} for row in closed]
        await connection.execute(_CLOSE, keys)
