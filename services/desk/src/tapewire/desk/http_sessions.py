"""`/v1/sessions`, `/v1/decisions`, `/v1/account`."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncConnection

from tapewire.auth import Claims
from tapewire.contracts import Model, TimeZone
from tapewire.contracts.fields import Timestamp
from tapewire.desk import pnl, sessions
from tapewire.desk.account import Account, account_of
from tapewire.desk.decisions import MAX_PAGE, DecisionPage, decisions_of
from tapewire.desk.http import SEES, Cursor, Rim, Whose, before_of, users_of
from tapewire.service import ApiError

PageSize = Annotated[int, Query(ge=1, le=MAX_PAGE)]


class SessionList(Model):
    """Sessions, the open ones first, then by when they were last heard of."""

    sessions: list[sessions.Session]


def routes(router: APIRouter, rim: Rim) -> None:
    """Add the routes. An id may contain slashes, so what goes on after one comes first."""

    @router.get("/sessions", tags=["sessions"], summary="Sessions of the user and of those seen")
    async def list_sessions(
        claims: Annotated[Claims, SEES],
        user: Annotated[str | None, Query(description="Only this user's.")] = None,
        open: Annotated[bool, Query(description="Only those that have not ended.")] = False,
        limit: Annotated[int, Query(ge=1, le=sessions.MAX_SESSIONS)] = 50,
        last: Annotated[
            int, Query(ge=0, le=sessions.MAX_LAST, description="Decisions and trades of each.")
        ] = 3,
    ) -> SessionList:
        users = users_of(claims, user)
        async with rim.reading() as connection:
            found = await sessions.sessions_of(
                connection, users, open_only=open, limit=limit, last=last
            )
        return SessionList(sessions=found)

    @router.get("/decisions", tags=["sessions"], summary="Decisions of all sessions, newest first")
    async def list_decisions(
        claims: Annotated[Claims, SEES],
        user: Annotated[str | None, Query(description="Only this user's.")] = None,
        cursor: Cursor = None,
        limit: PageSize = 100,
    ) -> DecisionPage:
        users = users_of(claims, user)
        async with rim.reading() as connection:
            return await decisions_of(connection, users, before=before_of(cursor), limit=limit)

    @router.get(
        "/sessions/{session_id:path}/decisions",
        tags=["sessions"],
        summary="Decisions of one session, newest first",
    )
    async def list_session_decisions(
        claims: Annotated[Claims, SEES],
        session_id: str,
        user: Whose = None,
        cursor: Cursor = None,
        limit: PageSize = 100,
    ) -> DecisionPage:
        users = users_of(claims, user)
        async with rim.reading() as connection:
            owner = await _owner(connection, users, session_id)
            return await decisions_of(
                connection, {owner}, session_id, before=before_of(cursor), limit=limit
            )

    @router.get(
        "/sessions/{session_id:path}/pnl",
        tags=["sessions"],
        summary="P&L history of one session",
        description=(
            "In buckets of a whole number of seconds, as wide as `points` demands; each has the "
            "newest figures in it. Older history is kept in wider ones."
        ),
    )
    async def get_history(
        claims: Annotated[Claims, SEES],
        session_id: str,
        user: Whose = None,
        begin: Annotated[Timestamp | None, Query(alias="from", description="Included.")] = None,
        end: Annotated[Timestamp | None, Query(alias="to", description="Not included.")] = None,
        points: Annotated[int, Query(ge=2, le=pnl.MAX_POINTS, description="At most.")] = 500,
    ) -> pnl.PnlHistory:
        users = users_of(claims, user)
        async with rim.reading() as connection:
            owner = await _owner(connection, users, session_id)
            return await pnl.history_of(
                connection, owner, session_id, begin=begin, end=end, points=points
            )

    @router.get("/sessions/{session_id:path}", tags=["sessions"], summary="One session")
    async def get_session(
        claims: Annotated[Claims, SEES],
        session_id: str,
        user: Whose = None,
        last: Annotated[int, Query(ge=0, le=sessions.MAX_LAST)] = 20,
    ) -> sessions.Session:
        users = users_of(claims, user)
        async with rim.reading() as connection:
            found = await sessions.session_of(connection, users, session_id, last=last)
        if found is None:
            raise _unknown(session_id)
        return found

    @router.get("/account", tags=["sessions"], summary="Equity and day P&L of a user")
    async def get_account(
        claims: Annotated[Claims, SEES],
        user: Annotated[str | None, Query(description="Another user that the token sees.")] = None,
        zone: Annotated[
            TimeZone, Query(alias="timeZone", description="Whose midnight begins the day.")
        ] = "UTC",
    ) -> Account:
        (owner,) = users_of(claims, user or claims.subject)
        async with rim.reading() as connection:
            return await account_of(connection, owner, now=rim.now(), zone=zone)


async def _owner(connection: AsyncConnection, users: frozenset[str], session_id: str) -> str:
    owner = await sessions.owner_of(connection, users, session_id)
    if owner is None:
        raise _unknown(session_id)
    return owner


def _unknown(session_id: str) -> ApiError:
    return ApiError(404, "unknown_session", f"There is no session {session_id!r} to be seen.")
