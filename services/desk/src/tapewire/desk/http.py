"""Desk's HTTP interface, what its routes share. The routes stand in `http_…`."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Depends, Query
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tapewire.auth import Claims, require
from tapewire.desk.outbox import Outbox
from tapewire.desk.store import reading
from tapewire.service import ApiError, ErrorBody

REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": ErrorBody, "description": "No token, or one that is not accepted"},
    403: {"model": ErrorBody, "description": "The token lacks a scope, or may not see that user"},
    404: {"model": ErrorBody, "description": "There is no such thing for this user"},
    503: {"model": ErrorBody, "description": "The database is away; try again after `Retry-After`"},
}
SEES: Final = Depends(require("session:read"))
ACTS: Final = Depends(require("session:read", "alerts:ack"))

Cursor = Annotated[
    str | None, Query(pattern=r"^[0-9]{1,18}$", description="`nextCursor` of the page before.")
]
Whose = Annotated[str | None, Query(description="Whose, if several have the id.")]


class Rim:
    """What the routes need of the world: the database, the outbox, the time.

    Args:
        engine: of the database.
        outbox: told of what was committed.
        caught_up: awaited before each transaction, so that it finds what has come.
        now: our clock.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        outbox: Outbox,
        caught_up: Callable[[], Awaitable[None]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._outbox = outbox
        self._caught_up = caught_up
        self.now = now

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection]:
        """One transaction that only reads."""
        await self._caught_up()
        async with reading(self._engine) as connection:
            yield connection

    @asynccontextmanager
    async def changing(self) -> AsyncGenerator[AsyncConnection]:
        """One transaction; what it has put into the outbox is published after the commit."""
        await self._caught_up()
        async with self._engine.begin() as connection:
            yield connection
        self._outbox.wake()


def users_of(claims: Claims, user: str | None) -> frozenset[str]:
    """Return the users whose sessions are asked for: this one, or all that the token lets see.

    Raises:
        ApiError: 403, the token does not let that user be seen.
    """
    if user is None:
        return claims.users
    if user not in claims.users:
        raise ApiError(403, "forbidden", f"The token does not let you see {user!r}.")
    return frozenset({user})


def before_of(cursor: str | None) -> int | None:
    """Return what a page's rows come before."""
    return None if cursor is None else int(cursor)
