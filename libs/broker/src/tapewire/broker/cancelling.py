"""Ending a task for good."""

import asyncio
from contextlib import suppress
from typing import Any, Final

AGAIN_AFTER_S: Final = 0.1


async def cancelled(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task, again until it has ended; what it raised is nobody's affair any more.

    Once is not enough for a loop: a library may keep a cancellation for itself that comes while
    something of its own ends (aiormq when a connection is lost), and the loop goes on.
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN_AFTER_S)
    if task is not None:
        with suppress(asyncio.CancelledError, Exception):
            task.result()
