"""The process's one clock: drives the wheel, and what is looked at every second."""

import asyncio
import logging
from collections.abc import Callable

from tapewire.edge.runtime.attention import Attention
from tapewire.edge.runtime.wheel import Timer, Wheel

log = logging.getLogger(__name__)


class Clock:
    """Component: monotonic time and the timer wheel. Usable once started."""

    name = "clock"

    def __init__(self, tick_s: float) -> None:
        self._tick_s = tick_s
        self._wheel: Wheel | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._attention: Attention | None = None

    @property
    def attention(self) -> Attention:
        """Since when clients have been listened to, for who would judge their silence."""
        assert self._attention is not None
        return self._attention

    def now(self) -> float:
        """Return seconds of the loop's monotonic clock."""
        assert self._loop is not None
        return self._loop.time()

    def after(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        """Call back once, at most a tick late."""
        assert self._wheel is not None
        return self._wheel.after(delay_s, self.now(), callback)

    def every(self, interval_s: float, callback: Callable[[], object]) -> None:
        """Call back for ever."""

        def again() -> None:
            self.after(interval_s, again)
            callback()

        self.after(interval_s, again)

    async def start(self) -> None:
        """Begin to turn."""
        self._loop = asyncio.get_running_loop()
        self._wheel = Wheel(self._tick_s, self._loop.time())
        self._attention = Attention(self._tick_s, self._loop.time())
        self._task = asyncio.create_task(self._turn(self._wheel, self._attention), name="clock")

    async def drain(self) -> None:
        """Nothing to finish: deadlines go on while others drain."""

    async def stop(self) -> None:
        """Stand still."""
        if self._task is not None:
            self._task.cancel()

    def health(self) -> str | None:
        """Return None while it turns."""
        return None if self._task is not None and not self._task.done() else "not turning"

    async def _turn(self, wheel: Wheel, attention: Attention) -> None:
        while True:
            await asyncio.sleep(self._tick_s)
            now = self.now()
            if late_s := attention.turn(now):
                log.warning("the process stood still", extra={"late_s": round(late_s, 3)})
            for callback in wheel.advance(now):
                try:
                    callback()
                except Exception:
                    log.exception("a timer's callback failed")
