"""One timer for every deadline of the process: heartbeats, acks, tokens.

A call_later per connection would be a heap of tens of thousands that is mostly cancelled. Here a
deadline is a place in a list, cancelling it is a flag, and one tick serves all that are due.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

Callback: TypeAlias = Callable[[], object]


class Timer:
    """A deadline on the wheel; ``cancel()`` is cheap and may come too late without harm."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        """Never call back."""
        self.callback = None


class Wheel:
    """Deadlines by tick. Pure: time comes in, due callbacks go out.

    Args:
        tick_s: how fine deadlines are; a callback is up to one tick late, never early.
        now: the time of the first tick, seconds of a monotonic clock.
    """

    def __init__(self, tick_s: float, now: float) -> None:
        self.tick_s = tick_s
        self._origin = now
        self._done = 0
        self._slots: dict[int, list[Timer]] = {}

    def after(self, delay_s: float, now: float, callback: Callback) -> Timer:
        """Have ``callback`` returned by the first ``advance`` at or after ``now + delay_s``."""
        timer = Timer(callback)
        tick = max(self._done + 1, math.ceil((now + delay_s - self._origin) / self.tick_s))
        self._slots.setdefault(tick, []).append(timer)
        return timer

    def advance(self, now: float) -> list[Callback]:
        """Return what is due by ``now``, earliest tick first."""
        last = math.floor((now - self._origin) / self.tick_s)
        if last <= self._done:
            return []
        if last - self._done > len(self._slots):  # the process slept: look at what there is
            ticks = sorted(tick for tick in self._slots if tick <= last)
        else:
            ticks = [tick for tick in range(self._done + 1, last + 1) if tick in self._slots]
        self._done = last
        due = [timer.callback for tick in ticks for timer in self._slots.pop(tick)]
        return [callback for callback in due if callback is not None]

    def __len__(self) -> int:
        """Return how many deadlines stand, cancelled ones included."""
        return sum(map(len, self._slots.values()))
