"""How many mailboxes are being opened at once.

More arrivals than broker and edge can take in make all of them slow alike, until every one is past
its deadline and comes again: then nothing is ever finished. In turn, those who are let in are
welcomed in time, whatever waits behind them.
"""

import asyncio
from typing import Final

from tapewire.edge.runtime.clock import Clock
from tapewire.edge.runtime.wheel import Timer

AT_ONCE: Final = 256  # an opening waits for a few round trips: enough to keep everybody busy
# One that is stuck, its tray on a node that is down, keeps nobody from theirs for longer.
HELD_AT_MOST_S: Final = 2.0


class Place:
    """The right to open a mailbox now; ``leave()`` hands it on, once."""

    __slots__ = ("_free", "_timer")

    def __init__(self, free: asyncio.Semaphore, clock: Clock) -> None:
        self._free: asyncio.Semaphore | None = free
        self._timer: Timer = clock.after(HELD_AT_MOST_S, self.leave)

    def leave(self) -> None:
        """Let the next one in."""
        free, self._free = self._free, None
        if free is not None:
            self._timer.cancel()
            free.release()


class Turnstile:
    """Lets arrivals in, in the order in which they came."""

    def __init__(self, clock: Clock, at_once: int = AT_ONCE) -> None:
        self._clock = clock
        self._free = asyncio.Semaphore(at_once)

    async def enter(self, within_s: float) -> Place:
        """Return a place once there is one.

        Raises:
            TimeoutError: none was free in time.
        """
        if self._free.locked():
            async with asyncio.timeout(within_s):
                await self._free.acquire()
        else:
            await self._free.acquire()
        return Place(self._free, self._clock)
