"""Desk's database on SQLite and PostgreSQL, and desk as it runs."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tapewire.auth import DEFAULT_SCOPES, AuthSettings, mint
from tapewire.desk.app import MIGRATIONS, build
from tapewire.desk.entry import entry_of
from tapewire.desk.ledger import enter
from tapewire.desk.settings import DeskSettings
from tapewire.service import ServiceSettings, running
from tapewire.service.database import engine_from, migrate

SECRET = "a secret of thirty-two bytes or more"
NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """A migrated database."""
    made = engine_from(ServiceSettings(database_url=database_url), "desk")
    await migrate(made, MIGRATIONS)
    yield made
    await made.dispose()


@pytest.fixture
def entered(engine: AsyncEngine) -> Callable[..., Any]:
    """Enter events in one transaction; return how many were new."""

    async def do(*events: Any, now: datetime = NOW) -> int:
        async with engine.begin() as connection:
            return len(await enter(connection, [entry_of(event) for event in events], now=now))

    return do


@pytest.fixture
def settings(cable: Any, tmp_path: Path) -> DeskSettings:
    return DeskSettings(
        amqp_url=cable.url,
        database_url=f"sqlite:///{tmp_path}/desk.sqlite3",
        desk_confirm_deadline_s=2,
        drain_timeout_s=5,
    )


@pytest.fixture
async def start_desk(
    settings: DeskSettings,
) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Start a desk and return its URL; it may not be ready yet. It is drained after the test."""
    async with AsyncExitStack() as stack:

        async def start(given: DeskSettings = settings) -> str:
            app = build(given, AuthSettings(jwt_secret=SECRET))
            return await stack.enter_async_context(running(app, given))

        yield start


@pytest.fixture
async def desk(start_desk: Callable[[], Awaitable[str]], rabbit: Any, until: Any) -> str:
    """The URL of a desk that is ready."""
    url = await start_desk()
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def is_ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        await until(is_ready)
    return url


@pytest.fixture
async def trader(desk: str) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Make an HTTP client of a user."""
    made: list[httpx.AsyncClient] = []

    def client(
        user: str = "alice", scopes: Any = DEFAULT_SCOPES, supervises: Any = ()
    ) -> httpx.AsyncClient:
        token = mint(SECRET, user, scopes=scopes, supervises=supervises)
        headers = {"Authorization": f"Bearer {token}"}
        made.append(httpx.AsyncClient(base_url=desk, headers=headers, timeout=20))
        return made[-1]

    yield client
    for one in made:
        await one.aclose()
