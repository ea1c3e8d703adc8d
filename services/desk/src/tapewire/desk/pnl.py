"""P&L history: what each session stood at, second by second, and thinner the older it is."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, delete, func, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from tapewire.contracts import Model
from tapewire.desk.entry import Figures
from tapewire.desk.patch import Patch, SessionKey
from tapewire.desk.tables import PNL, SESSIONS
from tapewire.service.statements import upsert

MAX_POINTS: Final = 2000  # more than a screen has columns
AHEAD: Final = timedelta(minutes=5)  # a producer's clock further ahead than this is not believed

_ENDED: Final = select(SESSIONS.c.user_id, SESSIONS.c.session_id).where(
    tuple_(SESSIONS.c.user_id, SESSIONS.c.session_id).in_(bindparam("keys", expanding=True)),
    SESSIONS.c.ended == true(),
)


class PnlPoint(Model):
    """What a session stood at: the newest figures of ``bucketS`` seconds that begin at ``time``."""

    time: datetime
    pnl: float
    equity: float | None = None


class PnlHistory(Model):
    """A session's P&L, oldest first, times strictly increasing and multiples of ``bucketS``."""

    user_id: str
    session_id: str
    bucket_s: int
    points: list[PnlPoint]


async def keep(
    connection: AsyncConnection, patches: Mapping[SessionKey, Patch], *, now: datetime
) -> None:
    """Enter what sessions stood at. To be called before the sessions themselves are changed."""
    asked = [key for key, patch in patches.items() if patch.history_unless_ended]
    ended: set[SessionKey] = set()
    if asked:
        rows = await connection.execute(_ENDED, {"keys": asked})
        ended = {(user, session) for user, session in rows}
    newest: dict[tuple[str, str, int], Figures] = {}
    for (user, session), patch in patches.items():
        older = [] if (user, session) in ended else patch.history_unless_ended
        for at, figures in [*older, *patch.history]:
            newest[user, session, _second(at, now)] = figures
    if not newest:
        return
    rows = [
        {"user_id": u, "session_id": s, "at": at, "pnl": f.pnl, "equity": f.equity}
        for (u, s, at), f in newest.items()
    ]
    statement = upsert(
        connection.dialect.name, PNL, ("user_id", "session_id", "at"), ("pnl", "equity")
    )
    await connection.execute(statement, rows)


async def history_of(
    connection: AsyncConnection,
    user: str,
    session: str,
    *,
    begin: datetime | None = None,
    end: datetime | None = None,
    points: int = 500,
) -> PnlHistory:
    """Return a session's P&L from ``begin`` (included) to ``end``, in ``points`` points at most.

    What is left out is the first and the last moment that is kept.
    """
    own = (PNL.c.user_id == user) & (PNL.c.session_id == session)
    first, last = (
        await connection.execute(select(func.min(PNL.c.at), func.max(PNL.c.at)).where(own))
    ).one()
    since = first if begin is None else math.ceil(begin.timestamp())
    until = last if end is None else math.ceil(end.timestamp()) - 1
    if first is None or until < since:
        return PnlHistory(user_id=user, session_id=session, bucket_s=1, points=[])
    step = bucket_of(max(since, first), min(until, last), points)
    bucket = PNL.c.at - PNL.c.at % step
    newest = (
        select(func.max(PNL.c.at)).where(own, PNL.c.at >= since, PNL.c.at <= until).group_by(bucket)
    )
    query = select(PNL).where(own, PNL.c.at.in_(newest)).order_by(PNL.c.at)
    return PnlHistory(
        user_id=user,
        session_id=session,
        bucket_s=step,
        points=[
            PnlPoint(
                time=datetime.fromtimestamp(row.at - row.at % step, UTC),
                pnl=row.pnl,
                equity=row.equity,
            )
            for row in await connection.execute(query)
        ],
    )


def bucket_of(since: int, until: int, points: int) -> int:
    """Return the width, s, of which ``points`` buckets (two or more) reach over both seconds."""
    return max(1, math.ceil((until - since) / (points - 1)))


async def thin(connection: AsyncConnection, since: int, until: int, step: int) -> None:
    """Keep only the newest second of every ``step``, of those from ``since`` to ``until``."""
    newest = (
        select(PNL.c.user_id, PNL.c.session_id, func.max(PNL.c.at))
        .where(PNL.c.at >= since, PNL.c.at < until)
        .group_by(PNL.c.user_id, PNL.c.session_id, PNL.c.at - PNL.c.at % step)
    )
    key = tuple_(PNL.c.user_id, PNL.c.session_id, PNL.c.at)
    await connection.execute(
        delete(PNL).where(PNL.c.at >= since, PNL.c.at < until, key.not_in(newest))
    )


def _second(at: datetime, now: datetime) -> int:
    return math.floor((at if at <= now + AHEAD else now).timestamp())
