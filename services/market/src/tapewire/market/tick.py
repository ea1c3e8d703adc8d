"""One price from a feed, and why one may be set aside. Pure."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

FUTURE_S: Final = 60.0  # a venue's clock may run ahead of ours; further is a fault
JUMP_CONFIRMED_BY: Final = 3  # as many ticks in a row at a new level are a new level, no fault


@dataclass(frozen=True, slots=True)
class Exact:
    """Prices with the digits that a venue wrote: what is published. The sieve takes floats."""

    last: Decimal
    bid: Decimal | None
    ask: Decimal | None


@dataclass(frozen=True, slots=True)
class Tick:
    """A trade or a quote of one symbol. Prices are per unit, ``volume`` of the day so far."""

    symbol: str
    at: datetime  # by the venue's clock, UTC
    last: float
    bid: float | None = None
    ask: float | None = None
    volume: float | None = None
    exact: Exact | None = None
    traded: bool = True  # False: a quote, with the last price that was told before


class Fault(StrEnum):
    """What is wrong with a tick."""

    NEGATIVE = "negative"
    CROSSED = "crossed"
    OUT_OF_ORDER = "out_of_order"
    JUMP = "jump"


@dataclass(slots=True)
class _Track:
    last: float
    at: datetime
    odd: float = 0.0  # the newest price that was set aside as a jump
    odd_ones: int = 0


class Sieve:
    """Judges a feed's ticks, each against the good ones before it.

    Args:
        max_jump: the largest believable step between two ticks, as |ln(price ÷ last)|; several in
            a row at the same new level are believed (a gap over night, a split).
        live: ticks carry the time of now, so one from the future is a fault.
    """

    def __init__(self, *, max_jump: float, live: bool) -> None:
        self._max_jump = max_jump
        self._live = live
        self._tracks: dict[str, _Track] = {}

    def judge(self, tick: Tick, now: datetime) -> Fault | None:
        """Return what is wrong with ``tick``; None, and it is what later ones are held against."""
        prices = [p for p in (tick.last, tick.bid, tick.ask) if p is not None]
        if any(not math.isfinite(p) or p <= 0 for p in prices) or (tick.volume or 0) < 0:
            return Fault.NEGATIVE
        if tick.bid is not None and tick.ask is not None and tick.bid > tick.ask:
            return Fault.CROSSED
        if self._live and tick.at > now + timedelta(seconds=FUTURE_S):
            return Fault.OUT_OF_ORDER
        track = self._tracks.get(tick.symbol)
        if track is None:
            self._tracks[tick.symbol] = _Track(tick.last, tick.at)
            return None
        if tick.at < track.at:
            return Fault.OUT_OF_ORDER
        if self._jumps(track.last, tick.last) and not (
            tick.traded and self._confirmed(track, tick.last)
        ):
            return Fault.JUMP
        track.last, track.at, track.odd_ones = tick.last, tick.at, 0
        return None

    def forget(self, symbol: str) -> None:
        """Begin anew with a symbol: its next tick is believed."""
        self._tracks.pop(symbol, None)

    def _jumps(self, before: float, after: float) -> bool:
        return abs(math.log(after / before)) > self._max_jump

    def _confirmed(self, track: _Track, price: float) -> bool:
        alike = track.odd_ones > 0 and not self._jumps(track.odd, price)
        track.odd, track.odd_ones = price, track.odd_ones + 1 if alike else 1
        return track.odd_ones >= JUMP_CONFIRMED_BY
