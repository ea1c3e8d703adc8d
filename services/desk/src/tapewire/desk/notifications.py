"""Notifications: the history of a user, what of it is read, and marks that all devices see.

Archived is read, and out of the history that is shown. It is never more: an open alert stays in its
inbox until somebody acknowledges it, whatever is archived here.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, delete, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tapewire.contracts import EVERYONE, NotificationRead, new_id
from tapewire.contracts.routing import CRITICAL_LEVELS
from tapewire.desk import outbox
from tapewire.desk.tables import ARCHIVED, EVENTS, READERS, READS
from tapewire.service.statements import insert_into

MAX_PAGE: Final = 200
MAX_IDS: Final = 1000  # as many as one `notification_read` may name


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification as its user sees it."""

    seq: int
    id: str
    type: str
    level: str
    session: str | None
    at: datetime
    read: bool
    body: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some notifications, newest first; ``cursor`` leads to those before, None at the end."""

    items: tuple[Notification, ...]
    cursor: int | None
    unread: int


async def page(
    connection: AsyncConnection,
    user: str,
    *,
    before: int | None = None,
    limit: int = 50,
    unread_only: bool = False,
    archived: bool = False,
) -> Page:
    """Return a page of a user's history, their own notifications and those for everyone.

    ``archived``: of what was archived, instead of what was not.
    """
    unread = _unread(user)
    query = (
        select(EVENTS, unread.label("unread"))
        .where(_visible(user), _archived(user) if archived else ~_archived(user))
        .order_by(EVENTS.c.seq.desc())
        .limit(limit + 1)
    )
    if before is not None:
        query = query.where(EVENTS.c.seq < before)
    if unread_only:
        query = query.where(unread)
    rows = (await connection.execute(query)).all()
    items = tuple(_notification(row) for row in rows[:limit])
    more = len(rows) > limit
    return Page(items, items[-1].seq if more else None, await unread_count(connection, user))


async def unread_count(connection: AsyncConnection, user: str) -> int:
    """Return how many notifications the user has not read."""
    query = select(func.count()).select_from(EVENTS).where(_visible(user), _unread(user))
    return await connection.scalar(query) or 0


async def mark_read(
    connection: AsyncConnection, user: str, ids: Collection[str], *, now: datetime
) -> int | None:
    """Mark these as read and put word of it into the outbox, for those that were not before.

    Returns:
        How many are unread now; None when the user has none of these.
    """
    await _take_turns(connection, user)
    query = select(EVENTS.c.seq, EVENTS.c.event_id, _unread(user).label("unread")).where(
        _visible(user), EVENTS.c.event_id.in_(ids)
    )
    found = (await connection.execute(query)).all()
    if not found:
        return None
    news = [row for row in found if row.unread]
    if news:
        marks = [{"user_id": user, "seq": row.seq, "read_at": now} for row in news]
        await connection.execute(READS.insert(), marks)
    unread = await unread_count(connection, user)
    if news:
        await _tell(
            connection, user, now, ids=_once(row.event_id for row in news), unread_count=unread
        )
    return unread


async def mark_all_read(connection: AsyncConnection, user: str, *, now: datetime) -> int:
    """Mark everything as read and put word of it into the outbox; return how many were not."""
    await _take_turns(connection, user)
    before = await unread_count(connection, user)
    if before == 0:
        return 0
    newest = await _newest(connection, user)
    await connection.execute(
        READERS.update().where(READERS.c.user_id == user).values(read_through=newest)
    )
    await connection.execute(delete(READS).where(READS.c.user_id == user, READS.c.seq <= newest))
    await _tell(connection, user, now, ids=[], all=True, unread_count=0)
    return before


async def archive(
    connection: AsyncConnection,
    user: str,
    ids: Collection[str],
    *,
    all: bool = False,
    now: datetime,
) -> int:
    """Archive these and put word of it into the outbox; return how many are unread now.

    ``all``: besides these whatever is neither critical nor an emergency. Those are archived by
    their ids only: which of them are still open, the user's devices know.
    """
    await _take_turns(connection, user)
    query = select(EVENTS.c.seq, EVENTS.c.event_id).where(
        _visible(user), EVENTS.c.event_id.in_(ids), ~_archived(user)
    )
    news = (await connection.execute(query)).all() if ids else []
    if news:
        rows = [{"user_id": user, "seq": row.seq, "archived_at": now} for row in news]
        await connection.execute(ARCHIVED.insert(), rows)
    swept = all and await connection.scalar(
        select(exists().where(_visible(user), ~_critical(), ~_archived(user)))
    )
    if swept:
        newest = await _newest(connection, user)
        await connection.execute(
            READERS.update().where(READERS.c.user_id == user).values(archived_through=newest)
        )
    unread = await unread_count(connection, user)
    if news or swept:
        said = {"ids": _once(row.event_id for row in news), "all": True if swept else None}
        await _tell(connection, user, now, archived=True, unread_count=unread, **said)
    return unread


async def _tell(connection: AsyncConnection, user: str, now: datetime, **said: Any) -> None:
    event = NotificationRead(id=new_id(), timestamp=now, user_id=user, **said)
    await outbox.write(connection, event, now=now)


async def _take_turns(connection: AsyncConnection, user: str) -> None:
    """Let one transaction at a time change a user's marks: each then counts what the last left."""
    await connection.execute(
        insert_into(connection.dialect.name, READERS)
        .values(user_id=user, read_through=0)
        .on_conflict_do_update(index_elements=["user_id"], set_={"user_id": user})
    )


async def _newest(connection: AsyncConnection, user: str) -> int | None:
    return await connection.scalar(select(func.max(EVENTS.c.seq)).where(_visible(user)))


def _once(ids: Iterable[str]) -> list[str]:
    """Return each id once: a notice for everyone may share that of a user's own event."""
    return list(dict.fromkeys(ids))


def _visible(user: str) -> ColumnElement[bool]:
    return EVENTS.c.level.is_not(None) & EVENTS.c.user_id.in_((user, EVERYONE))


def _critical() -> ColumnElement[bool]:
    return EVENTS.c.level.in_(CRITICAL_LEVELS)


def _archived(user: str) -> ColumnElement[bool]:
    marked = exists().where(ARCHIVED.c.user_id == user, ARCHIVED.c.seq == EVENTS.c.seq)
    return ((EVENTS.c.seq <= _through(user, "archived_through")) & ~_critical()) | marked


def _unread(user: str) -> ColumnElement[bool]:
    marked = exists().where(READS.c.user_id == user, READS.c.seq == EVENTS.c.seq)
    return (EVENTS.c.seq > _through(user, "read_through")) & ~marked & ~_archived(user)


def _through(user: str, column: str) -> Any:
    query = select(READERS.c[column]).where(READERS.c.user_id == user)
    return func.coalesce(query.scalar_subquery(), 0)


def _notification(row: Row[Any]) -> Notification:
    return Notification(
        seq=row.seq,
        id=row.event_id,
        type=row.type,
        level=row.level,
        session=row.session_id,
        at=row.at,
        read=not row.unread,
        body=row.body,
    )
