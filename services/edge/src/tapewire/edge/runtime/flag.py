"""A flag that tasks wait for."""

import asyncio


class Flag:
    """As `asyncio.Event`, which has a queue of 800 bytes for those who wait, also for none.

    A user has a dozen.
    """

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: list[asyncio.Future[None]] | None = None

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it, and wake who waits."""
        self._is_set = True
        waiting, self._waiting = self._waiting, None
        for future in waiting or ():
            if not future.done():
                future.set_result(None)

    def clear(self) -> None:
        """Take it back; who was woken goes on all the same."""
        self._is_set = False

    async def wait(self) -> None:
        """Return once it is, or has been, set."""
        if self._is_set:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._waiting is None:
            self._waiting = []
        waiting = self._waiting
        waiting.append(future)
        try:
            await future
        except asyncio.CancelledError:
            waiting.remove(future)
            raise
