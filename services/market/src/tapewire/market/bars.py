"""Fixed-time bars. Pure."""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from tapewire.market.tick import Tick

INTERVALS: Final = {"1s": 1, "1m": 60, "5m": 300}  # name → seconds
KEPT: Final = 500  # bars of each interval: eight minutes, eight hours, two days


@dataclass(frozen=True, slots=True)
class Bar:
    """Open, high, low, close and volume of one interval; ``at`` is its beginning."""

    at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    ticks: int


class Series:
    """One symbol's bars of one interval: the closed ones that are kept, and the one that grows.

    An interval without a tick has no bar.
    """

    def __init__(self, seconds: int, *, kept: int = KEPT) -> None:
        self._seconds = seconds
        self._closed: deque[Bar] = deque(maxlen=kept)
        self._growing: Bar | None = None

    def add(self, tick: Tick, traded: float) -> Bar | None:
        """Add a tick with the volume ``traded`` by it; return the bar that it closed, if any."""
        begins = math.floor(tick.at.timestamp() / self._seconds) * self._seconds
        at = datetime.fromtimestamp(begins, UTC)
        bar, price = self._growing, tick.last
        if bar is not None and at <= bar.at:
            self._growing = Bar(
                bar.at,
                bar.open,
                max(bar.high, price),
                min(bar.low, price),
                price,
                bar.volume + traded,
                bar.ticks + 1,
            )
            return None
        self._growing = Bar(at, price, price, price, price, traded, 1)
        if bar is not None:
            self._closed.append(bar)
        return bar

    def __iter__(self) -> Iterator[Bar]:
        """Yield the bars, oldest first, the growing one last."""
        yield from self._closed
        if self._growing is not None:
            yield self._growing


class Bars:
    """Every symbol's bars of every interval."""

    def __init__(self) -> None:
        self._series: dict[str, dict[str, Series]] = {}
        self._volume: dict[str, float] = {}  # of the day so far, as last told

    def add(self, tick: Tick) -> Bar | None:
        """Add a tick; return the one-second bar that it closed, if any."""
        series = self._series.get(tick.symbol)
        if series is None:
            series = {name: Series(seconds) for name, seconds in INTERVALS.items()}
            self._series[tick.symbol] = series
        traded = self._traded(tick)
        closed = {name: one.add(tick, traded) for name, one in series.items()}
        return closed["1s"]

    def of(self, symbol: str, interval: str) -> list[Bar]:
        """Return a symbol's bars, oldest first, the growing one last."""
        series = self._series.get(symbol)
        return list(series[interval]) if series else []

    def _traded(self, tick: Tick) -> float:
        if tick.volume is None:
            return 0.0
        before = self._volume.get(tick.symbol)
        self._volume[tick.symbol] = tick.volume
        # less than before: a new day began
        return 0.0 if before is None else max(tick.volume - before, 0.0)
