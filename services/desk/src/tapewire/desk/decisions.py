"""What algorithms decided, page by page."""

import json
from collections.abc import Collection
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tapewire.contracts import Model
from tapewire.desk.tables import EVENTS

MAX_PAGE: Final = 500


class DecisionPage(Model):
    """Decisions, newest first. ``nextCursor`` leads to older ones; null at the end."""

    items: Annotated[list[dict[str, Any]], Field(description="Messages `algorithm_decision`.")]
    next_cursor: str | None


async def decisions_of(
    connection: AsyncConnection,
    users: Collection[str],
    session: str | None = None,
    *,
    before: int | None = None,
    limit: int = 100,
) -> DecisionPage:
    """Return a page of the decisions of these users, of one session or of all, as they came."""
    query = (
        select(EVENTS.c.seq, EVENTS.c.body)
        .where(EVENTS.c.user_id.in_(users), EVENTS.c.type == "algorithm_decision")
        .order_by(EVENTS.c.seq.desc())
        .limit(limit + 1)
    )
    if session is not None:
        query = query.where(EVENTS.c.session_id == session)
    if before is not None:
        query = query.where(EVENTS.c.seq < before)
    rows = (await connection.execute(query)).all()
    more = len(rows) > limit
    return DecisionPage(
        items=[json.loads(row.body) for row in rows[:limit]],
        next_cursor=str(rows[limit - 1].seq) if more else None,
    )
