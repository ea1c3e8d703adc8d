"""A market that never was: seeded, with regimes and jumps."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Final
from zlib import crc32

from tapewire.market.tick import Tick

BEGINNINGS: Final = {  # prices of the kind that a reader knows
    "SPY": 512.30,
    "QQQ": 441.10,
    "AAPL": 191.40,
    "MSFT": 417.90,
    "NVDA": 874.20,
    "BTC-USD": 64_250.0,
    "ETH-USD": 3_120.0,
}
CALM_SIGMA: Final = 0.00006  # per step; at 5 a second about 12 % a year of trading days
REGIMES: Final = {"calm": 1.0, "busy": 4.0}  # sigma, as a multiple
LEAVES: Final = {"calm": 1 / 900, "busy": 1 / 250}  # chance per step
JUMP: Final = 1 / 4000  # chance per step
JUMP_SIGMA: Final = 0.004
CRYPTO: Final = "-USD"  # moves more
CRYPTO_FACTOR: Final = 2.5


def walk(symbol: str, seed: int) -> Iterator[tuple[float, float, float, float]]:
    """Yield (last, bid, ask, volume so far) for ever; the same for the same symbol and seed.

    A geometric random walk whose sigma switches between two regimes (a Markov chain), with rare
    jumps (Merton, 1976).
    """
    random = Random(crc32(f"{seed} {symbol}".encode()))
    price = BEGINNINGS.get(symbol) or round(math.exp(random.uniform(3, 6)), 2)
    factor = CRYPTO_FACTOR if symbol.endswith(CRYPTO) else 1.0
    half_spread = 0.0001 * factor
    regime, volume = "calm", 0.0
    while True:
        if random.random() < LEAVES[regime]:
            regime = "busy" if regime == "calm" else "calm"
        move = random.gauss(0, CALM_SIGMA * REGIMES[regime] * factor)
        if random.random() < JUMP:
            move += random.gauss(0, JUMP_SIGMA * factor)
        price *= math.exp(move)
        volume += round(random.expovariate(1 / (120 * REGIMES[regime])))
        spread = price * half_spread * random.uniform(0.7, 1.3)
        last, bid, ask = round(price, 2), round(price - spread, 2), round(price + spread, 2)
        yield last, min(bid, last), max(ask, last), volume


class Simulated:
    """Ticks of each symbol at a steady rate.

    Args:
        symbols: what is traded.
        seed: same seed, same prices, whenever it runs.
        rate_hz: ticks a second and symbol.
        clock: the time that ticks carry.
    """

    name = "simulated"
    silence_s = 5.0
    reconnects_when_silent = True
    max_jump = 0.2
    live = True

    def __init__(
        self,
        symbols: Sequence[str],
        *,
        seed: int = 7,
        rate_hz: float = 5.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._symbols = tuple(symbols)
        self._walks = {symbol: walk(symbol, seed) for symbol in self._symbols}
        self._step_s = 1.0 / rate_hz
        self._clock = clock

    async def __aiter__(self) -> AsyncIterator[Tick]:
        """Yield a tick of each symbol in turn, spread over each step."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while self._symbols:
            for symbol in self._symbols:
                due += self._step_s / len(self._symbols)
                if (wait := due - loop.time()) > 0:
                    await asyncio.sleep(wait)
                last, bid, ask, volume = next(self._walks[symbol])
                yield Tick(symbol, self._clock(), last, bid, ask, volume)
            due = max(due, loop.time() - 1.0)  # after a pause, do not make up for all of it
            await asyncio.sleep(0)
