import asyncio
import json
import logging
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from websockets.asyncio.server import serve

from tapewire.market.app import feed_of
from tapewire.market.bars import Bars
from tapewire.market.book import Book
from tapewire.market.intake import Intake, Market
from tapewire.market.settings import MarketSettings
from tapewire.market.volatility import Volatility, VolatilityPolicy

from .venues import VENUES, Alpaca, Binance, Coinbase, served, silence, tells, until


@pytest.fixture(params=VENUES, ids=lambda venue: venue.name)
def venue(request):
    return request.param()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("tapewire.market.intake.RETRY_BASE_S", 0.001)
    monkeypatch.setattr("tapewire.market.intake.RETRY_CAP_S", 0.05)


@asynccontextmanager
async def taking(venue, url, **more):
    """Run the feed as the service does, without a broker."""
    settings = MarketSettings(market_feeds=(venue.name,), **venue.settings(url, **more))
    market = Market(Book(), Bars(), Volatility(VolatilityPolicy()))
    intake = Intake(feed_of(venue.name, settings), 0, market)
    await intake.start()
    yield market, intake
    await intake.stop()


def last(market, venue):
    quote = market.book.quote(venue.symbol)
    return quote and quote.tick.last


async def hang_up(socket):
    await socket.close(1000)


async def cut_mid_message(socket):
    socket.transport.write(b"\x81\x7e\x01\x00" + b'{"half a')  # 256 bytes were announced
    socket.transport.close()


async def test_prices_come_out(venue):
    async with (
        served(tells(venue, "100.10", "100.20")) as server,
        taking(venue, server.url) as (market, _),
    ):
        await until(lambda: last(market, venue) == 100.20)


@pytest.mark.parametrize("end", [hang_up, cut_mid_message])
async def test_a_lost_connection_is_made_and_subscribed_again(venue, quick, end):
    scripts = tells(venue, "100.10", then=end), tells(venue, "100.20", first=5)
    async with served(*scripts) as server, taking(venue, server.url) as (market, intake):
        await until(lambda: last(market, venue) == 100.20)
    assert (server.connections, intake.reconnects) == (2, 1)


async def test_a_connected_and_silent_venue_is_stale_and_connected_anew(venue, quick):
    async with served(tells(venue, "100.10"), silence) as server:
        short = {f"market_{venue.name}_silence_s": 0.3}
        async with taking(venue, server.url, **short) as (market, _):
            await until(lambda: server.connections >= 3)
            assert market.book.quote(venue.symbol) is None or (
                market.book.quote(venue.symbol).stale
            )


async def test_nonsense_is_passed_over(venue, caplog):
    async def nonsense(socket):
        for text in ("{", "[]x", "17", '{"channel":"ticker"}', '[{"T":"t"}]', '{"data":{"s":1}}'):
            await socket.send(text)
        await socket.send(venue.tick('"many"' if venue.name == "alpaca" else "many", 1))
        await socket.send(venue.tick("100.20", 2))
        await silence(socket)

    async with (
        served(tells(venue, "100.10", then=nonsense)) as server,
        taking(venue, server.url) as (market, intake),
    ):
        await until(lambda: last(market, venue) == 100.20)
    assert intake.reconnects == 0
    assert [r.message for r in caplog.records].count("message not understood") == 1


async def test_bad_prices_are_set_aside(venue):
    prices = ("100.10", "-5", "1001", "100.20")

    async def late_and_well(socket):
        await socket.send(venue.tick("99.99", -60))
        await socket.send(venue.tick("100.30", 60))
        await silence(socket)

    async with (
        served(tells(venue, *prices, then=late_and_well)) as server,
        taking(venue, server.url) as (market, _),
    ):
        await until(lambda: last(market, venue) == 100.30)
        (bar, *_, newest) = market.bars.of(venue.symbol, "1s")
    assert (bar.low, newest.high) == (100.10, 100.30)
    assert all(100.10 <= b.low <= b.high <= 100.30 for b in market.bars.of(venue.symbol, "1m"))


async def test_a_slow_acknowledgement_is_waited_for(venue):
    asked, go = asyncio.Event(), asyncio.Event()

    class Slow(type(venue)):
        async def greet(self, socket):
            asked.set()
            await go.wait()
            await super().greet(socket)

    async with (
        served(tells(Slow(), "100.10")) as server,
        taking(venue, server.url) as (market, intake),
    ):
        await asked.wait()
        assert last(market, venue) is None
        go.set()
        await until(lambda: last(market, venue) == 100.10)
    assert (server.connections, intake.reconnects) == (1, 0)


async def test_refused_credentials_are_told_and_not_tried_soon_again(quick, caplog):
    async def refuse(socket):
        await socket.send('[{"T":"success","msg":"connected"}]')
        await socket.recv()
        await socket.send('[{"T":"error","code":402,"msg":"auth failed"}]')

    caplog.set_level(logging.DEBUG)
    async with served(refuse) as server, taking(Alpaca(), server.url) as (_, intake):
        await until(lambda: intake.reconnects == 1)
        (told,) = [r for r in caplog.records if r.message == "feed refused"]
        assert (told.fault, told.retry_after_s, told.feed) == ("402 auth failed", 300, "alpaca")
    assert server.connections == 1
    ours = [r.__dict__ for r in caplog.records if not r.name.startswith("websockets.server")]
    assert ours
    assert "hush-hush" not in str(ours)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "feed refused"), (418, "feed refused"), (429, "feed refused"), (503, "feed lost")],
)
async def test_a_refused_handshake_is_a_refusal_or_a_loss(venue, caplog, status, kind):
    def refuse(socket, _):
        return socket.respond(HTTPStatus(status), "no")

    async with serve(silence, "127.0.0.1", 0, process_request=refuse) as listening:
        url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        async with taking(venue, url) as (_, intake):
            await until(lambda: intake.reconnects >= 1)
    told = next(r for r in caplog.records if r.message.startswith("feed "))
    assert told.message == kind
    assert str(status) in told.fault


async def test_a_gap_is_told_and_what_comes_after_is_taken(caplog):
    venue = Coinbase()

    async def leave_out(socket):
        venue.number += 7
        await socket.send(venue.tick("100.20", 2))
        await silence(socket)

    async with (
        served(tells(venue, "100.10", then=leave_out)) as server,
        taking(venue, server.url) as (market, _),
    ):
        await until(lambda: last(market, venue) == 100.20)
    (gap,) = [r for r in caplog.records if r.message == "feed has a gap"]
    assert (gap.missed, gap.feed) == (7, "coinbase")


async def test_a_symbol_nobody_heard_of_is_named_and_the_others_go_on(caplog, monkeypatch):
    monkeypatch.setattr("tapewire.market.feeds.venue.HEARD_WITHIN_S", 0.0)

    class Two(Binance):
        async def greet(self, socket):
            assert "nosuchusdt@ticker" in json.loads(await socket.recv())["params"]

    venue = Two()
    async with served(tells(venue, "100.10", "100.20")) as server:
        both = {"market_binance_symbols": ("BTC-USD", "NOSUCH-USD")}
        async with taking(venue, server.url, **both) as (market, _):
            await until(lambda: last(market, venue) == 100.20)
    (told,) = [r for r in caplog.records if r.message == "symbols never heard of"]
    assert told.symbols == "NOSUCH-USD"


async def test_the_service_publishes_bundles_of_a_venues_prices(venue, tape, market):
    async with (
        served(tells(venue, "100.10", "100.20")) as server,
        market(market_feeds=(venue.name,), **venue.settings(server.url)),
    ):
        await tape.until(lambda: 100.20 in [m["last"] for m in tape.messages(venue.symbol)])
    quote = next(m for m in tape.messages(venue.symbol) if m["last"] == 100.20)
    assert quote["asOf"] == "2023-02-09T20:30:38Z"
    if venue.name != "alpaca":  # its trades carry no quote
        assert (quote["bid"], quote["ask"]) == (100.20, 100.20)


async def test_a_refused_feed_harms_no_other_and_the_service_stays_ready(tape, market):
    async def refuse(socket):
        await socket.send('[{"T":"success","msg":"connected"}]')
        await socket.recv()
        await socket.send('[{"T":"error","code":402,"msg":"auth failed"}]')

    well, refused = Binance(), Alpaca()
    async with served(refuse) as one, served(tells(well, "100.10")) as other:
        settings = refused.settings(one.url) | well.settings(other.url)
        async with market(market_feeds=("alpaca", "binance"), **settings) as http:
            await tape.until(lambda: 100.10 in [m["last"] for m in tape.messages(well.symbol)])
            await until(lambda: one.connections == 1)
            async with asyncio.timeout(60):
                while (await http.get("/readyz")).status_code != 200:
                    await asyncio.sleep(0.01)
