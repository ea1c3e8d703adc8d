"""When a dead program is started again. Pure: uptimes in, delays out."""

from __future__ import annotations

from dataclasses import dataclass, replace

FIRST_DELAY_S = 0.2  # a single death is mended before a person notices
LONGEST_DELAY_S = 10.0  # a broken one costs little CPU, and a mended one is back soon
STEADY_AFTER_S = 30.0  # a run this long counts as healthy: the next death is a first one


@dataclass(frozen=True)
class Backoff:
    """How often a program died in a row without a steady run between."""

    deaths: int = 0

    def after(self, uptime_s: float) -> Backoff:
        """The state after a death that followed a run of `uptime_s` seconds."""
        return replace(self, deaths=1 if uptime_s >= STEADY_AFTER_S else self.deaths + 1)

    @property
    def delay_s(self) -> float:
        """The wait before the next start: doubles with every death in a row."""
        return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** max(0, self.deaths - 1))
