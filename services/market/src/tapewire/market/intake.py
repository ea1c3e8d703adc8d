"""From feeds to the book: each feed watched, come back to, sieved."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from random import uniform

from tapewire.broker import full_jitter
from tapewire.contracts import VolatilityAlert
from tapewire.market.bars import Bars
from tapewire.market.book import Book
from tapewire.market.feeds import Feed, FeedRefused
from tapewire.market.tick import Sieve, Tick
from tapewire.market.volatility import Volatility
from tapewire.service import metrics
from tapewire.service.background import Background

log = logging.getLogger(__name__)

RETRY_BASE_S = 0.5
RETRY_CAP_S = 30.0  # venues ban who comes back too often
STABLE_S = 30.0  # a connection that held so long was a good one: the waits begin anew


class SilentFeed(Exception):
    """The feed is connected and says nothing."""


class Market:
    """What is known of the market: last values, bars, volatility. Ticks go in here."""

    def __init__(self, book: Book, bars: Bars, volatility: Volatility) -> None:
        self.book = book
        self.bars = bars
        self.volatility = volatility
        self._alerts: list[VolatilityAlert] = []

    def take(self, tick: Tick, feed: int, now: datetime) -> None:
        """Take one good tick of the feed of rank ``feed``."""
        if self.book.is_news(tick.symbol, feed):
            self.volatility.forget(tick.symbol)  # another feed's prices are another series
        self.book.take(tick, feed, now)
        closed = self.bars.add(tick)
        if closed is not None and (alert := self.volatility.add(tick.symbol, closed)) is not None:
            self._alerts.append(alert)

    def take_alerts(self) -> list[VolatilityAlert]:
        """Return the alerts raised since the last call."""
        alerts, self._alerts = self._alerts, []
        return alerts


class Intake(Background):
    """One feed's way into the market, as a component.

    Args:
        feed: where the ticks come from.
        rank: 0 is the best; a better feed's symbols are not told by a lesser one.
        market: where they go.
        clock: our clock.
    """

    def __init__(
        self,
        feed: Feed,
        rank: int,
        market: Market,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__()
        self.name = f"feed {feed.name}"
        self._feed = feed
        self._rank = rank
        self._market = market
        self._clock = clock
        self._sieve = Sieve(max_jump=feed.max_jump, live=feed.live)
        self._heard_at: datetime | None = None
        self._ticks = metrics.counter(metrics.TICKS)
        self._label = {"feed": feed.name}
        self.reconnects = 0

    async def drain(self) -> None:
        """Take no more."""
        await self.stop()

    def health(self) -> str | None:
        """Return None: a venue's silence makes quotes stale, not this service unfit."""
        return None

    def staleness_s(self) -> float:
        """Return the time since the last tick; 0 before the first."""
        if self._heard_at is None:
            return 0.0
        return (self._clock() - self._heard_at).total_seconds()

    async def _run(self) -> None:
        waits = full_jitter(RETRY_BASE_S, RETRY_CAP_S)
        while True:
            began = asyncio.get_running_loop().time()
            least_s = 0.0
            try:
                await self._listen()
                log.info("feed ended", extra=self._label)
                return
            except SilentFeed:
                if not self._feed.reconnects_when_silent:
                    continue
                log.warning("feed silent: connecting anew", extra=self._label)
            except FeedRefused as refusal:
                least_s = refusal.retry_after_s
                told = {"fault": str(refusal), "retry_after_s": least_s}
                log.error("feed refused", extra=self._label | told)
            except Exception as error:  # whatever a source may raise, it is tried again
                fault = f"{type(error).__name__}: {error}"
                log.warning("feed lost", extra=self._label | {"fault": fault})
            if asyncio.get_running_loop().time() - began > STABLE_S:
                waits = full_jitter(RETRY_BASE_S, RETRY_CAP_S)
            await self._wait(waits, least_s)

    async def _wait(self, waits: Iterator[float], least_s: float) -> None:
        self.reconnects += 1
        metrics.counter(metrics.FEED_RECONNECTS).add(1, self._label)
        await asyncio.sleep(max(next(waits), least_s * uniform(1.0, 1.2)))

    async def _listen(self) -> None:
        """Take ticks until the feed ends, is lost, or falls silent.

        Raises:
            SilentFeed: no tick within the feed's patience.
        """
        silence_s = self._feed.silence_s
        loop = asyncio.get_running_loop()
        watchdog = asyncio.timeout(silence_s)
        try:
            async with watchdog:
                async for tick in self._feed:
                    if silence_s is not None:
                        watchdog.reschedule(loop.time() + silence_s)
                    self._take(tick)
        except TimeoutError:
            if watchdog.expired():
                raise SilentFeed from None
            raise
        finally:
            self._market.book.mark_stale(self._rank)

    def _take(self, tick: Tick) -> None:
        now = self._clock()
        self._heard_at = now
        self._ticks.add(1, self._label)
        if not self._market.book.owns(tick.symbol, self._rank, now):
            return
        if self._market.book.is_news(tick.symbol, self._rank):
            self._sieve.forget(tick.symbol)
        fault = self._sieve.judge(tick, now)
        if fault is not None:
            attributes = self._label | {"reason": fault.value}
            metrics.counter(metrics.BAD_TICKS).add(1, attributes)
            return
        self._market.take(tick, self._rank, now)
