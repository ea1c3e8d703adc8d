"""The browser: found on this machine, started once for all tests."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def find() -> str | None:
    """Return the path of Chromium (`TAPEWIRE_TEST_CHROMIUM` names one), or None."""
    if named := os.environ.get("TAPEWIRE_TEST_CHROMIUM"):
        return named
    return next(filter(None, map(shutil.which, NAMES)), None)


@asynccontextmanager
async def running(path: str) -> AsyncIterator[Browser]:
    """Start Chromium; end it with the block."""
    # In a container there is neither a user namespace for its sandbox nor much of /dev/shm.
    arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()
