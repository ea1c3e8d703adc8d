"""`GET /v1/poll`: a connection whose messages are fetched, batch by batch.

Between two polls it *lags*: live values replace each other, recent messages wait. A batch is kept
until a poll brings its cursor, which is also the proof that it was received; a poll that repeats an
older cursor gets the batch again.
"""

import asyncio
from typing import Final, NamedTuple

from tapewire.edge.fallback.http_wire import HttpWire
from tapewire.edge.fallback.journal import End, Entry
from tapewire.edge.websocket.gate import Transport

WAIT_S: Final = 25.0  # shorter than the 30 s after which proxies and mobile networks lose patience
PACE_S: Final = 0.02  # at most fifty answers a second: what comes in between comes joined
BATCH_BYTES: Final = 256 * 1024


class Batch(NamedTuple):
    """What a poll is answered with."""

    cursor: int
    entries: list[Entry]
    end: End | None = None


class PollWire(HttpWire):
    """The wire of a polled connection."""

    transport: Transport = "poll"

    def __init__(self, wait_s: float = WAIT_S) -> None:
        super().__init__()
        self._wait_s = wait_s
        self._polls = 0
        self._answered_at = -PACE_S

    async def poll(self, cursor: int) -> Batch:
        """Return what follows ``cursor``: at once when something is due, else after a while.

        A newer poll ends an older one, whose answer nobody waits for any more.

        Raises:
            ValueError: the cursor was never given out.
        """
        self.prove(cursor)
        self.journal.drop(cursor)
        self._polls += 1
        self.due.set()  # an older poll looks, and goes
        mine = self._polls
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._answered_at + PACE_S - loop.time()))
        if mine == self._polls:
            self.lag(False)
            await asyncio.sleep(0)  # what waited for this is written at the end of the turn
            await self._something(mine)
        if mine != self._polls:
            return Batch(cursor, [])
        self.lag(True)
        self._answered_at = loop.time()
        entries = self.journal.first(BATCH_BYTES)
        newest = entries[-1].number if entries else cursor
        complete = newest >= self.journal.newest
        return Batch(newest, entries, self.journal.end if complete else None)

    async def _something(self, mine: int) -> None:
        try:
            async with asyncio.timeout(self._wait_s):
                while mine == self._polls and not self.journal and self.journal.end is None:
                    self.due.clear()
                    await self.due.wait()
        except TimeoutError:
            pass
