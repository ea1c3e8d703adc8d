"""Ingest as it runs: its composition root, a real broker, its HTTP surface."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from tapewire.auth import AuthSettings, mint
from tapewire.ingest.app import build
from tapewire.ingest.settings import IngestSettings
from tapewire.service import running

SECRET = "a secret of thirty-two bytes or more"


@pytest.fixture
def settings(cable: Any) -> IngestSettings:
    return IngestSettings(amqp_url=cable.url, ingest_confirm_deadline_s=5, drain_timeout_s=5)


@pytest.fixture
async def ingest(settings: IngestSettings, rabbit: Any, until: Any) -> AsyncIterator[str]:
    """The URL of an ingest that is ready."""
    app = build(settings, AuthSettings(jwt_secret=SECRET))
    async with running(app, settings) as url:
        await until(lambda: app.state.lifecycle.ready)
        yield url


@pytest.fixture
async def producer(ingest: str) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Make a client that may write events, or has the scopes given."""
    made: list[httpx.AsyncClient] = []

    def client(*scopes: str) -> httpx.AsyncClient:
        token = mint(SECRET, "strategy-1", scopes=scopes or ["events:write"])
        made.append(
            httpx.AsyncClient(
                base_url=ingest, headers={"Authorization": f"Bearer {token}"}, timeout=20
            )
        )
        return made[-1]

    yield client
    for one in made:
        await one.aclose()
