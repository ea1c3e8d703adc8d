"""Is a symbol moving more than it used to? EWMA volatility, fast over slow. Pure."""

import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from tapewire.contracts import VolatilityAlert
from tapewire.market.bars import Bar

Level = Literal["warning", "critical", "emergency"]
LEVELS: Final[tuple[tuple[Level, float], ...]] = (
    ("warning", 1.5),
    ("critical", 2.0),
    ("emergency", 3.0),
)
CLEARS_AT: Final = 0.85  # of the warning's threshold


@dataclass(frozen=True, slots=True)
class VolatilityPolicy:
    """The numbers, in seconds. Half-lives are of the weights of squared one-second returns."""

    fast_s: float = 30.0
    slow_s: float = 300.0
    warm_up_s: float = 120.0  # before that the slow one knows too little
    on_delay_s: float = 5.0
    off_delay_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Ewma:
    """An exponentially weighted mean of squares, in half-life form.

    Source: RiskMetrics Technical Document, 4th ed., 1996, §5.2, with the weights of the seen
    observations made to sum to one, so that it is unbiased from the first on.
    """

    half_life: float
    mean: float = 0.0
    weight: float = 0.0

    def add(self, value: float) -> "Ewma":
        """Return the mean with one more observation."""
        decayed = self.pass_by(1)
        decay = 2.0 ** (-1.0 / self.half_life)
        return replace(decayed, mean=decayed.mean + (1 - decay) * value * value)

    def pass_by(self, steps: int) -> "Ewma":
        """Return the mean after ``steps`` observations of zero."""
        decay = 2.0 ** (-steps / self.half_life)
        return Ewma(self.half_life, decay * self.mean, 1 - decay * (1 - self.weight))

    @property
    def sigma(self) -> float:
        """Return the volatility per step; 0 before the first observation."""
        return math.sqrt(self.mean / self.weight) if self.weight else 0.0


@dataclass(frozen=True, slots=True)
class Gauge:
    """What is known of one symbol. ``level`` counts from 0 (quiet) to 3 (emergency)."""

    fast: Ewma
    slow: Ewma
    close: float | None = None
    at: datetime | None = None
    seen_s: float = 0.0
    level: int = 0
    above_since: datetime | None = None
    below_since: datetime | None = None

    @property
    def ratio(self) -> float:
        """Return fast sigma ÷ slow sigma; 0 while nothing moved."""
        return self.fast.sigma / self.slow.sigma if self.slow.sigma else 0.0


def new_gauge(policy: VolatilityPolicy) -> Gauge:
    """Return what is known at the beginning: nothing."""
    return Gauge(Ewma(policy.fast_s), Ewma(policy.slow_s))


def measure(gauge: Gauge, bar: Bar, policy: VolatilityPolicy) -> Gauge:
    """Return the gauge after a closed one-second bar. Seconds without a bar had no return."""
    if gauge.close is None or gauge.at is None:
        return replace(gauge, close=bar.close, at=bar.at)
    steps = round((bar.at - gauge.at).total_seconds())
    if steps < 1:
        return gauge
    step = math.log(bar.close / gauge.close)
    return replace(
        gauge,
        fast=gauge.fast.pass_by(steps - 1).add(step),
        slow=gauge.slow.pass_by(steps - 1).add(step),
        close=bar.close,
        at=bar.at,
        seen_s=gauge.seen_s + steps,
    )


def judge(gauge: Gauge, policy: VolatilityPolicy) -> tuple[Gauge, tuple[Level, float] | None]:
    """Return the gauge with its alarm moved on, and (level, threshold) to tell, if any.

    The first alarm waits for the on-delay, a higher one does not; calm for the off-delay arms it
    again.
    """
    if gauge.at is None or gauge.seen_s < policy.warm_up_s:
        return gauge, None
    ratio, at = gauge.ratio, gauge.at
    reached = sum(ratio >= threshold for _, threshold in LEVELS)
    if gauge.level and ratio < LEVELS[0][1] * CLEARS_AT:
        since = gauge.below_since or at
        if (at - since).total_seconds() >= policy.off_delay_s:
            return replace(gauge, level=0, above_since=None, below_since=None), None
        return replace(gauge, below_since=since), None
    gauge = replace(gauge, below_since=None)
    if reached <= gauge.level:
        return replace(gauge, above_since=None if not reached else gauge.above_since), None
    since = gauge.above_since or at
    if not gauge.level and (at - since).total_seconds() < policy.on_delay_s:
        return replace(gauge, above_since=since), None
    return replace(gauge, level=reached, above_since=since), LEVELS[reached - 1]


class Volatility:
    """Every symbol's gauge."""

    def __init__(self, policy: VolatilityPolicy) -> None:
        self._policy = policy
        self._gauges: dict[str, Gauge] = {}

    def add(self, symbol: str, bar: Bar) -> VolatilityAlert | None:
        """Add a closed one-second bar; return the alert that it raises, if any."""
        gauge = self._gauges.get(symbol) or new_gauge(self._policy)
        gauge, raised = judge(measure(gauge, bar, self._policy), self._policy)
        self._gauges[symbol] = gauge
        if raised is None:
            return None
        level, threshold = raised
        return VolatilityAlert(
            id=f"volatility-{symbol}-{bar.at.timestamp():.0f}",
            timestamp=bar.at,
            symbol=symbol,
            alert_level=level,
            message=f"{symbol} moves {gauge.ratio:.1f} times as much as it used to",
            current_value=round(gauge.ratio, 3),
            threshold=threshold,
        )

    def forget(self, symbol: str) -> None:
        """Begin anew with a symbol."""
        self._gauges.pop(symbol, None)
