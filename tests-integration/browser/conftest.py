"""One Chromium for the run; a device (context) of its own for whoever asks."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from engines import Fleet
from playwright.async_api import Browser

from browser import chromium
from browser.desk import AXE, Desk

HERE = Path(__file__).parent
WIDE = {"width": 1440, "height": 900}

NewDesk = Callable[..., Awaitable[Desk]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let all tests in a browser share its event loop."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def the_browser() -> AsyncIterator[Browser]:
    path = chromium.find()
    missing = "there is no Chromium" if path is None else None if AXE.exists() else "npm ci"
    if missing or path is None:
        if os.environ.get("TAPEWIRE_REQUIRE_ENGINE") == "1":
            pytest.fail(f"a browser was required: {missing}", pytrace=False)
        pytest.skip(f"NOT TESTED in a browser: {missing}")
    async with chromium.running(path) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def new_desk(the_browser: Browser, fleet: Fleet, user: str) -> AsyncIterator[NewDesk]:
    """Opens the dashboard on a new device, or in another tab of `beside`; signed in."""
    contexts = []

    async def new(*, beside: Desk | None = None, sign_in: bool = True, **options) -> Desk:
        if beside is None:
            context = await the_browser.new_context(**({"viewport": WIDE} | options))
            contexts.append(context)
        else:
            context = beside.context
        desk = Desk(await context.new_page(), fleet, user)
        if sign_in:
            await desk.sign_in()
        return desk

    yield new
    for context in contexts:
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def desk(new_desk: NewDesk) -> Desk:
    """The dashboard of `user`, signed in and connected."""
    return await new_desk()
