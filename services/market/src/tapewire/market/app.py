"""The composition root: market's parts and how they hang together."""

from time import monotonic

from fastapi import FastAPI

from tapewire.auth import AuthSettings, Revoking, Verifier
from tapewire.broker import Link, Publisher, Role, responder, topology
from tapewire.market.api import routes
from tapewire.market.bars import Bars
from tapewire.market.book import Book
from tapewire.market.feeds import Feed, Producers, Simulated
from tapewire.market.flush import Flush
from tapewire.market.intake import Intake, Market
from tapewire.market.settings import MarketSettings
from tapewire.market.snapshot import answer
from tapewire.market.volatility import Volatility, VolatilityPolicy
from tapewire.service import Component, create_app, metrics


def build(settings: MarketSettings, auth: AuthSettings) -> FastAPI:
    """Return the application.

    | in | handler | prefetch, side by side |
    |---|---|---|
    | feeds, `market.ticks` among them | `Intake`, one each | 1000, 1 |
    | queue `market.snapshot` | `snapshot.answer` | 32, 16 |
    | HTTP `/v1/…` | `api.routes` | |
    """
    market = Market(Book(), Bars(), Volatility(VolatilityPolicy()))
    publishing = Link(settings.amqp_url, Role.PUBLISH, name="market")
    consuming = Link(settings.amqp_url, Role.CONSUME, name="market")
    publisher = Publisher(publishing)

    async def snapshot(request: bytes) -> bytes:
        began = monotonic()
        reply = answer(request, market.book)
        seconds = monotonic() - began
        metrics.histogram(metrics.SNAPSHOT_LATENCY).record(seconds, {"source": "market"})
        return reply

    feeds = [feed_of(name, settings, consuming) for name in settings.market_feeds]
    intakes = [Intake(feed, rank, market) for rank, feed in enumerate(feeds)]
    revoking = Revoking(consuming)
    verifier = Verifier.from_settings(auth, revoking)
    parts: list[Component] = [
        verifier,
        publishing,
        consuming,
        revoking,
        Flush(market, publishing, publisher, interval_s=1 / settings.market_rate_hz),
        responder(consuming, publisher, topology.MARKET_SNAPSHOT, snapshot),
        *intakes,
        *(feed.consumer for feed in feeds if isinstance(feed, Producers)),
    ]
    _observe(market, intakes)
    app = create_app(
        settings,
        service="market",
        components=parts,
        routers=[routes(market)],
        title="Tapewire market",
        description="Last values and bars of every symbol. Live quotes come over the socket.",
    )
    app.state.verifier = verifier
    app.state.market = market
    return app


def feed_of(name: str, settings: MarketSettings, link: Link | None = None) -> Feed:
    """Return a feed by its name; ``link`` is for what comes over the broker."""
    match name:
        case "producers":
            assert link is not None
            return Producers(link, silence_s=settings.market_silence_s)
        case "simulated":
            return Simulated(
                settings.market_symbols,
                seed=settings.market_seed,
                rate_hz=settings.market_tick_hz,
            )
        case "alpaca":
            assert settings.market_alpaca_key_id is not None  # the settings saw to it
            assert settings.market_alpaca_secret is not None
            from tapewire.market.feeds.alpaca import alpaca

            return alpaca(
                settings.symbols_of("alpaca"),
                key_id=settings.market_alpaca_key_id,
                secret=settings.market_alpaca_secret,
                silence_s=settings.market_alpaca_silence_s,
                url=settings.market_alpaca_url,
            )
        case "binance":
            from tapewire.market.feeds.binance import binance

            return binance(
                settings.symbols_of("binance"),
                silence_s=settings.market_binance_silence_s,
                url=settings.market_binance_url,
            )
        case "coinbase":
            from tapewire.market.feeds.coinbase import coinbase

            return coinbase(
                settings.symbols_of("coinbase"),
                channel=settings.market_coinbase_channel,
                silence_s=settings.market_coinbase_silence_s,
                url=settings.market_coinbase_url,
            )
        case _:
            assert settings.market_replay_file is not None  # the settings saw to it
            # pyarrow: a third of what the service takes to start, and of its memory.
            from tapewire.market.feeds.replay import Replay

            return Replay(
                settings.market_replay_file,
                speed=settings.market_replay_speed,
                symbol=settings.market_replay_symbol,
                loop=settings.market_replay_loop,
            )


def _observe(market: Market, intakes: list[Intake]) -> None:
    metrics.observe(metrics.MARKET_CONFLATED, lambda: market.book.conflated)
    metrics.observe(
        metrics.FEED_STALENESS,
        lambda: [
            (intake.staleness_s(), {"feed": intake.name.removeprefix("feed ")})
            for intake in intakes
        ],
    )
