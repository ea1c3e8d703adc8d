"""Desk's HTTP interface: `/v1/sessions`, `/v1/notifications`, `/v1/preferences`."""

import json
import logging
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tapewire.auth import Claims, require
from tapewire.contracts import Model
from tapewire.desk import notifications, preferences, sessions
from tapewire.desk.ledger import reading
from tapewire.desk.outbox import Outbox
from tapewire.service import ApiError, ErrorBody

log = logging.getLogger(__name__)

REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": ErrorBody, "description": "No token, or one that is not accepted"},
    403: {"model": ErrorBody, "description": "The token lacks a scope, or may not see that user"},
    404: {"model": ErrorBody, "description": "There is no such thing for this user"},
    503: {"model": ErrorBody, "description": "The database is away; try again after `Retry-After`"},
}
SEES: Final = Depends(require("session:read"))
ACTS: Final = Depends(require("session:read", "alerts:ack"))


class SessionList(Model):
    """Sessions, the open ones first, then by when they were last heard of."""

    sessions: list[sessions.Session]


class NotificationItem(Model):
    """One notification. ``message`` is the client message as it was delivered."""

    id: str
    type: str
    level: str
    session_id: str | None
    timestamp: datetime
    read: bool
    message: dict[str, Any]


class NotificationPage(Model):
    """Notifications, newest first. ``nextCursor`` leads to older ones; null at the end."""

    items: list[NotificationItem]
    next_cursor: str | None
    unread_count: int


class Unread(Model):
    """How many notifications of the user are unread now, on all devices."""

    unread_count: int


class Rim:
    """What the routes need of the world: the database, the outbox, the time."""

    def __init__(
        self,
        engine: AsyncEngine,
        outbox: Outbox,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._outbox = outbox
        self.now = now

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection]:
        """One transaction that only reads."""
        with _or_unavailable():
            async with reading(self._engine) as connection:
                yield connection

    @asynccontextmanager
    async def changing(self) -> AsyncGenerator[AsyncConnection]:
        """One transaction; what it has put into the outbox is published after the commit."""
        with _or_unavailable():
            async with self._engine.begin() as connection:
                yield connection
        self._outbox.wake()


@contextmanager
def _or_unavailable() -> Generator[None]:
    """Answer 503 when the database is away; what it refuses is our own fault and is not that."""
    try:
        yield
    except (IntegrityError, DataError, ProgrammingError):
        raise
    except (DBAPIError, PoolTimeout, OSError) as error:
        log.warning("database: %s", error)
        raise ApiError(
            503,
            "unavailable",
            "The database does not answer at the moment.",
            headers={"Retry-After": "2"},
        ) from error


def routes(rim: Rim) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1", responses=REFUSALS)
    _session_routes(router, rim)
    _notification_routes(router, rim)
    _preference_routes(router, rim)
    return router


def _session_routes(router: APIRouter, rim: Rim) -> None:
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
        users = _users(claims, user)
        async with rim.reading() as connection:
            found = await sessions.sessions_of(
                connection, users, open_only=open, limit=limit, last=last
            )
        return SessionList(sessions=found)

    # An id may contain slashes.
    @router.get("/sessions/{session_id:path}", tags=["sessions"], summary="One session")
    async def get_session(
        claims: Annotated[Claims, SEES],
        session_id: str,
        user: Annotated[str | None, Query(description="Whose, if several have the id.")] = None,
        last: Annotated[int, Query(ge=0, le=sessions.MAX_LAST)] = 20,
    ) -> sessions.Session:
        users = _users(claims, user)
        async with rim.reading() as connection:
            found = await sessions.session_of(connection, users, session_id, last=last)
        if found is None:
            raise ApiError(
                404, "unknown_session", f"There is no session {session_id!r} to be seen."
            )
        return found


def _notification_routes(router: APIRouter, rim: Rim) -> None:
    @router.get("/notifications", tags=["notifications"], summary="History, newest first")
    async def list_notifications(
        claims: Annotated[Claims, SEES],
        cursor: Annotated[
            str | None, Query(pattern=r"^[0-9]{1,18}$", description="`nextCursor` of a page.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=notifications.MAX_PAGE)] = 50,
        unread: Annotated[bool, Query(description="Only what is not read.")] = False,
    ) -> NotificationPage:
        async with rim.reading() as connection:
            page = await notifications.page(
                connection,
                claims.subject,
                before=None if cursor is None else int(cursor),
                limit=limit,
                unread_only=unread,
            )
        return NotificationPage(
            items=[
                NotificationItem(
                    id=one.id,
                    type=one.type,
                    level=one.level,
                    session_id=one.session,
                    timestamp=one.at,
                    read=one.read,
                    message=json.loads(one.body),
                )
                for one in page.items
            ],
            next_cursor=None if page.cursor is None else str(page.cursor),
            unread_count=page.unread,
        )

    @router.post("/notifications/read-all", tags=["notifications"], summary="Mark all as read")
    async def read_all(claims: Annotated[Claims, ACTS]) -> Unread:
        async with rim.changing() as connection:
            await notifications.mark_all_read(connection, claims.subject, now=rim.now())
        return Unread(unread_count=0)

    @router.post(
        "/notifications/{notification_id:path}/read",
        tags=["notifications"],
        summary="Mark one as read",
        description="Reading is not acknowledging: an open alert stays open.",
    )
    async def read_one(claims: Annotated[Claims, ACTS], notification_id: str) -> Unread:
        async with rim.changing() as connection:
            unread = await notifications.mark_read(
                connection, claims.subject, notification_id, now=rim.now()
            )
        if unread is None:
            raise ApiError(
                404, "unknown_notification", f"There is no notification {notification_id!r}."
            )
        return Unread(unread_count=unread)


def _preference_routes(router: APIRouter, rim: Rim) -> None:
    @router.get("/preferences", tags=["preferences"], summary="How the user is notified")
    async def get_preferences(claims: Annotated[Claims, SEES]) -> preferences.Preferences:
        async with rim.reading() as connection:
            return await preferences.preferences_of(connection, claims.subject)

    @router.put("/preferences", tags=["preferences"], summary="Replace them")
    async def put_preferences(
        claims: Annotated[Claims, ACTS], wanted: preferences.Preferences
    ) -> preferences.Preferences:
        async with rim.changing() as connection:
            await preferences.set_preferences(connection, claims.subject, wanted, now=rim.now())
        return wanted


def _users(claims: Claims, user: str | None) -> frozenset[str]:
    if user is None:
        return claims.users
    if user not in claims.users:
        raise ApiError(403, "forbidden", f"The token does not let you see {user!r}.")
    return frozenset({user})
