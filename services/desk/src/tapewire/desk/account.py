"""A user's account: what its sessions add up to, and what came of them today."""

from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field
from sqlalchemy import Select, false, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tapewire.contracts import Model
from tapewire.desk.tables import PNL, SESSIONS


class AccountSession(Model):
    """What one session has to do with the account today."""

    session_id: str
    open: bool
    at: Annotated[datetime, Field(description="When it stood there, to the second.")]
    pnl: Annotated[float, Field(description="Newest.")]
    pnl_before: Annotated[float, Field(description="Before the day began; 0 if it had not begun.")]
    equity: Annotated[float | None, Field(description="Newest that was told.")]


class Account(Model):
    """Equity and day P&L of a user.

    ``equity`` is that of the open sessions together, or where none of them told its own, that of
    the session that was heard of last; null when there is none. ``dayPnL`` is what the sessions of
    the day won since it began, those that ended included. With ``sessions`` whoever hears
    `session_status` carries both on: `pnl - pnlBefore`, summed.
    """

    user_id: str
    day_start: datetime
    day_end: datetime
    equity: float | None
    day_pnl: Annotated[float, Field(alias="dayPnL")]
    sessions: Annotated[list[AccountSession], Field(description="Open, or heard of today.")]


def day_of(now: datetime, zone: str) -> tuple[datetime, datetime]:
    """Return when the day that ``now`` is in began, and when it ends, on the clocks of ``zone``."""
    today = now.astimezone(ZoneInfo(zone)).date()
    begin, end = (
        datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
        for day in (today, today + timedelta(days=1))
    )
    return begin, end


async def account_of(
    connection: AsyncConnection, user: str, *, now: datetime, zone: str = "UTC"
) -> Account:
    """Return a user's account on the day that it is in ``zone``."""
    begin, end = day_of(now, zone)
    second = int(begin.timestamp())
    is_open = {
        row.session_id
        for row in await connection.execute(
            select(SESSIONS.c.session_id).where(
                SESSIONS.c.user_id == user, SESSIONS.c.ended == false()
            )
        )
    }
    heard = select(PNL.c.session_id).where(PNL.c.user_id == user, PNL.c.at >= second)
    wanted = is_open | set(await connection.scalars(heard.distinct()))
    newest = {row.session_id: row for row in await connection.execute(_newest(user, wanted, None))}
    before = {
        row.session_id: row.pnl for row in await connection.execute(_newest(user, wanted, second))
    }
    equity = {
        row.session_id: row.equity
        for row in await connection.execute(_newest(user, wanted, None, with_equity=True))
    }
    sessions = [
        AccountSession(
            session_id=session,
            open=session in is_open,
            at=datetime.fromtimestamp(row.at, UTC),
            pnl=row.pnl,
            pnl_before=before.get(session, 0.0),
            equity=equity.get(session),
        )
        for session, row in sorted(newest.items())
    ]
    return Account(
        user_id=user,
        day_start=begin,
        day_end=end,
        equity=_equity(sessions),
        day_pnl=sum(one.pnl - one.pnl_before for one in sessions),
        sessions=sessions,
    )


def _equity(sessions: list[AccountSession]) -> float | None:
    told = [(one.at, one.session_id, one) for one in sessions if one.equity is not None]
    opened = [one.equity or 0.0 for _, _, one in told if one.open]
    if opened:
        return sum(opened)
    return max(told)[2].equity if told else None


def _newest(
    user: str, sessions: set[str], before: int | None, *, with_equity: bool = False
) -> Select[Any]:
    """Return the query of the newest figures of each session, those before a second only."""
    own = [PNL.c.user_id == user, PNL.c.session_id.in_(sessions)]
    if before is not None:
        own.append(PNL.c.at < before)
    if with_equity:
        own.append(PNL.c.equity.is_not(None))
    latest = (
        select(PNL.c.session_id, func.max(PNL.c.at).label("at"))
        .where(*own)
        .group_by(PNL.c.session_id)
        .subquery()
    )
    return select(PNL).join(
        latest,
        (PNL.c.user_id == user)
        & (PNL.c.session_id == latest.c.session_id)
        & (PNL.c.at == latest.c.at),
    )
