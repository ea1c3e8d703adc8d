"""Sessions as desk knows them: where each stands, read from the tables."""

import json
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import Row, Select, false, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tapewire.contracts import (
    Model,
    SessionCompleted,
    SessionMetrics,
    SessionState,
    SessionStatus,
    SessionSummary,
)
from tapewire.desk.tables import EVENTS, POSITIONS, SESSIONS

MAX_SESSIONS: Final = 200
MAX_LAST: Final = 100
SHOWN_AFTER_END: Final = timedelta(days=1)  # then a snapshot for a client leaves it out


class Counts(Model):
    """How many of each there were in a session."""

    decisions: int
    trades: int
    milestones: int
    alerts: int


class Session(Model):
    """A session's whole state. ``data`` is that of its newest ``session_status``."""

    user_id: str
    session_id: str
    status: SessionState
    ended: bool
    updated_at: datetime
    algorithm_id: str | None = None
    symbols: list[str] | None = None
    initial_equity: float | None = None
    loss_limit: float | None = None
    time_limit_s: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    data: SessionMetrics | None = None
    data_at: datetime | None = None
    reason: str | None = None
    summary: SessionSummary | None = None
    counts: Counts
    positions: Annotated[
        list[dict[str, Any]], Field(description="The newest position_update of each, unless flat.")
    ]
    last_decisions: Annotated[
        list[dict[str, Any]], Field(description="Messages algorithm_decision, newest first.")
    ]
    last_trades: Annotated[
        list[dict[str, Any]], Field(description="Messages trade_executed, newest first.")
    ]


async def sessions_of(
    connection: AsyncConnection,
    users: Collection[str],
    *,
    open_only: bool = False,
    limit: int = 50,
    last: int = 3,
) -> list[Session]:
    """Return these users' sessions, the open ones first, then by when they were last heard of.

    Args:
        connection: in a transaction, so that what is returned is of one moment.
        users: whose.
        open_only: leave out those that have ended.
        limit: sessions at most.
        last: decisions and trades with each.
    """
    query = _newest(users).limit(limit)
    if open_only:
        query = query.where(SESSIONS.c.ended == false())
    return [await _session(connection, row, last) for row in await connection.execute(query)]


async def session_of(
    connection: AsyncConnection, users: Collection[str], session: str, *, last: int = 20
) -> Session | None:
    """Return one session of one of these users, or None; the newest if several have that id."""
    query = _newest(users).where(SESSIONS.c.session_id == session).limit(1)
    row = (await connection.execute(query)).first()
    return None if row is None else await _session(connection, row, last)


async def owner_of(connection: AsyncConnection, users: Collection[str], session: str) -> str | None:
    """Return which of these users has that session, or None; of the newest if several do."""
    query = _newest(users).where(SESSIONS.c.session_id == session).limit(1)
    row = (await connection.execute(query)).first()
    return None if row is None else row.user_id


async def statuses(
    connection: AsyncConnection, user: str, session: str | None, *, now: datetime
) -> list[SessionStatus]:
    """Return the snapshot of a channel: the newest status of each session, marked as such.

    One session by its id, or all that are open or ended within the last day.
    """
    query = _newest((user,)).limit(MAX_SESSIONS).where(SESSIONS.c.metrics.is_not(None))
    if session is not None:
        query = query.where(SESSIONS.c.session_id == session)
    else:
        recent = SESSIONS.c.updated_at > now - SHOWN_AFTER_END
        query = query.where((SESSIONS.c.ended == false()) | recent)
    return [
        SessionStatus.model_validate_json(row.metrics).model_copy(
            update={"status": row.status, "snapshot": True}
        )
        for row in await connection.execute(query)
    ]


def _newest(users: Collection[str]) -> Select[Any]:
    return (
        select(SESSIONS)
        .where(SESSIONS.c.user_id.in_(users))
        .order_by(SESSIONS.c.ended, SESSIONS.c.updated_at.desc(), SESSIONS.c.session_id)
    )


async def _session(connection: AsyncConnection, row: Row[Any], last: int) -> Session:
    key = (row.user_id, row.session_id)
    positions = await connection.scalars(
        select(POSITIONS.c.body)
        .where(POSITIONS.c.user_id == key[0], POSITIONS.c.session_id == key[1])
        .order_by(POSITIONS.c.symbol)
    )
    return Session(
        user_id=row.user_id,
        session_id=row.session_id,
        status=row.status,
        ended=row.ended,
        updated_at=row.updated_at,
        counts=Counts(
            decisions=row.decisions,
            trades=row.trades,
            milestones=row.milestones,
            alerts=row.alerts,
        ),
        positions=[json.loads(body) for body in positions],
        last_decisions=await _last(connection, key, "algorithm_decision", last),
        last_trades=await _last(connection, key, "trade_executed", last),
        **_started(row.started),
        **_measured(row.metrics),
        **_completed(row.completed),
    )


async def _last(
    connection: AsyncConnection, key: tuple[str, str], kind: str, count: int
) -> list[dict[str, Any]]:
    query = (
        select(EVENTS.c.body)
        .where(EVENTS.c.user_id == key[0], EVENTS.c.session_id == key[1], EVENTS.c.type == kind)
        .order_by(EVENTS.c.seq.desc())
        .limit(count)
    )
    return [json.loads(body) for body in await connection.scalars(query)]


def _started(body: str | None) -> dict[str, Any]:
    if body is None:
        return {}
    message = json.loads(body)
    names = ("algorithmId", "symbols", "initialEquity", "lossLimit", "timeLimitS")
    return {name: message.get(name) for name in names} | {"startedAt": message["timestamp"]}


def _measured(body: str | None) -> dict[str, Any]:
    if body is None:
        return {}
    status = SessionStatus.model_validate_json(body)
    return {"data": status.data, "data_at": status.timestamp}


def _completed(body: str | None) -> dict[str, Any]:
    if body is None:
        return {}
    completed = SessionCompleted.model_validate_json(body)
    return {
        "ended_at": completed.timestamp,
        "reason": completed.reason,
        "summary": completed.summary,
    }
