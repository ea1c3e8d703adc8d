"""Acks on their way to the server: joined per turn of the loop, paced, kept over a reconnection."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from tapewire.client.pacing import Pace

BATCH = 500  # ids of 64 characters then stay under half of the protocol's 64 KB
SHARE = 0.5  # of the server's messages-per-second limit; the rest is the application's


class Acks:
    """Ids that are handled and not yet acked."""

    def __init__(self) -> None:
        self._pending: dict[str, None] = {}
        self._some = asyncio.Event()
        self._none = asyncio.Event()
        self._none.set()

    def add(self, ids: Iterable[str]) -> None:
        """Ack these, on this connection or the next."""
        self._pending.update(dict.fromkeys(ids))
        if self._pending:
            self._some.set()
            self._none.clear()

    async def send_all(
        self, send: Callable[[dict[str, object]], Awaitable[None]], *, messages_per_second: float
    ) -> None:
        """Send what comes, until cancelled. What could not be sent waits for the next call."""
        clock = asyncio.get_running_loop().time
        pace = Pace(messages_per_second * SHARE, now=clock())
        while True:
            await self._some.wait()
            wait_s = pace.take(clock())
            if wait_s:
                await asyncio.sleep(wait_s)
            batch = list(self._pending)[:BATCH]
            await send({"type": "ack", "ids": batch})
            for message_id in batch:
                self._pending.pop(message_id, None)
            if not self._pending:
                self._some.clear()
                self._none.set()

    async def sent(self) -> None:
        """Wait until none is pending."""
        await self._none.wait()
