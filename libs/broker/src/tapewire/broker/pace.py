"""When batches are taken: few events at a time cost as much a batch as many do."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from tapewire.broker.delivery import Delivery


class Pace:
    """Batches at once after a quiet while, else ``every_s`` after those before.

    Consumers that share one take theirs at the same moment. What is urgent takes along whatever
    else has come.

    Args:
        every_s: between batches.
        urgent: whether a delivery must not wait. Quick: it is asked while the socket is read.
    """

    def __init__(self, every_s: float, urgent: Callable[[Delivery], bool]) -> None:
        self._every_s = every_s
        self._urgent = urgent
        self._waiting = 0
        self._hurry = asyncio.Event()
        self._next_at = 0.0  # of the loop's clock

    def hurry(self) -> None:
        """Have what waits taken now."""
        if self._waiting:
            self._hurry.set()

    def look(self, delivery: Delivery) -> None:
        """See whether what waits must be taken now, for this that has come."""
        if self._waiting and not self._hurry.is_set() and self._urgent(delivery):
            self._hurry.set()

    async def wait(self, for_: Sequence[Delivery]) -> None:
        """Return when it is time for a batch of which ``for_`` is there already."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._next_at:
            self._waiting += 1
            try:
                for delivery in for_:
                    self.look(delivery)
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(self._next_at):
                        await self._hurry.wait()
            finally:
                self._waiting -= 1
            if not self._waiting:
                self._hurry.clear()
        self._next_at = loop.time() + self._every_s
