"""Order among a user's critical events: one on its way at a time.

Publishing is pipelined, and a broker that goes away may fail one event and confirm the next, which
was published a moment later on a new connection. For most events that is borne. A critical one
must not overtake the one before it: who waits behind a failure fails too, and is sent again behind
it.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tapewire.broker import NotConfirmed


class Turns:
    """Takes turns, for each key in the order in which they were asked for."""

    def __init__(self) -> None:
        self._last: dict[str, asyncio.Future[bool]] = {}

    @asynccontextmanager
    async def of(self, key: str) -> AsyncGenerator[None]:
        """Wait for those before; whoever leaves with an exception fails those behind.

        Raises:
            NotConfirmed: the one before failed.
        """
        before = self._last.get(key)
        mine = self._last[key] = asyncio.get_running_loop().create_future()
        went_well = False
        try:
            if before is not None:
                await asyncio.wait([before])
                if not before.result():
                    raise NotConfirmed("one before it, for the same user, was not confirmed")
            yield
            went_well = True
        finally:
            mine.set_result(went_well)
            if self._last.get(key) is mine:
                del self._last[key]
