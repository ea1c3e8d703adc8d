import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tapewire.market.bars import Bars
from tapewire.market.book import Book
from tapewire.market.intake import Intake, Market
from tapewire.market.settings import MarketSettings
from tapewire.market.tick import Tick
from tapewire.market.volatility import Volatility, VolatilityPolicy


class Scripted:
    """A feed that plays one script per connection: prices, an exception, or silence."""

    name = "scripted"
    max_jump = 0.5
    live = True

    def __init__(self, *connections, silence_s=None, reconnects=True):
        self.connections = list(connections)
        self.made = 0
        self.silence_s = silence_s
        self.reconnects_when_silent = reconnects

    async def __aiter__(self) -> AsyncIterator[Tick]:
        script = self.connections[min(self.made, len(self.connections) - 1)]
        self.made += 1
        for step in script:
            if step == "silence":
                await asyncio.Event().wait()
            if isinstance(step, Exception):
                raise step
            yield Tick("SPY", datetime.now(UTC), step)


@pytest.fixture
def market() -> Market:
    return Market(Book(), Bars(), Volatility(VolatilityPolicy()))


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch):
    monkeypatch.setattr("tapewire.market.intake.RETRY_BASE_S", 0.001)


async def run(feed, market, until):
    intake = Intake(feed, 0, market)
    await intake.start()
    async with asyncio.timeout(20):
        while not until(intake):
            await asyncio.sleep(0.001)
    await intake.stop()
    return intake


async def test_a_lost_feed_is_connected_again(market):
    feed = Scripted([100.0, OSError("reset")], [ValueError("nonsense")], [101.0, "silence"])
    await run(feed, market, lambda _: market.book.quote("SPY") and feed.made == 3)
    assert market.book.quote("SPY").tick.last == 101.0


async def test_a_silent_feed_is_stale_and_connected_again(market):
    feed = Scripted([100.0, "silence"], ["silence"], silence_s=0.02)
    await run(feed, market, lambda _: feed.made >= 3)
    assert market.book.quote("SPY").stale


async def test_producers_silence_is_no_loss_of_connection(market):
    feed = Scripted([100.0, "silence"], ["silence"], silence_s=0.02, reconnects=False)
    intake = await run(feed, market, lambda _: feed.made >= 3)
    assert market.book.quote("SPY").stale
    assert intake.reconnects == 0


async def test_a_feed_that_ended_is_left_alone_and_its_quotes_are_stale(market):
    feed = Scripted([100.0, 101.0])
    await run(feed, market, lambda i: i._task.done())
    assert (feed.made, market.book.quote("SPY").stale) == (1, True)


async def test_bad_ticks_are_passed_over(market):
    feed = Scripted([100.0, -5.0, 1e6, 100.5, "silence"])
    await run(feed, market, lambda _: (market.book.quote("SPY") or feed) and feed.made)
    await run(feed, market, lambda _: market.book.quote("SPY").tick.last == 100.5)


def test_settings_name_what_they_refuse():
    with pytest.raises(ValueError, match="moon"):
        MarketSettings(market_feeds="simulated,moon")
    with pytest.raises(ValueError, match="TAPEWIRE_MARKET_REPLAY_FILE"):
        MarketSettings(market_feeds="replay")


def test_readme_names_every_setting():
    own = set(MarketSettings.model_fields) - set(MarketSettings.__base__.model_fields)
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert [name for name in own if f"TAPEWIRE_{name.upper()}" not in text] == []
