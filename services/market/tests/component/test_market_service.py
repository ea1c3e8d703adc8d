import csv
import json
from datetime import UTC, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import httpx

from tapewire.broker import topology
from tapewire.contracts import MarketData, bundle_key, bundle_shard, new_id


async def test_simulated_quotes_travel_in_bundles_of_their_shard(tape, market):
    async with market(market_feeds=("simulated",), market_symbols=("SPY", "QQQ", "BTC-USD")):
        await tape.until(
            lambda: {"SPY", "QQQ", "BTC-USD"} <= {m["symbol"] for m in tape.messages()}
        )
    for key, symbols, lines in tape.bundles:
        assert [line["symbol"] for line in lines] == list(symbols)
        assert {key} == {bundle_key(bundle_shard(symbol)) for symbol in symbols}
    quote = tape.messages("SPY")[0]
    assert quote["type"] == "market_data"
    assert quote["bid"] <= quote["last"] <= quote["ask"]
    assert {"id", "timestamp", "asOf", "volume", "change"} <= set(quote)
    assert "snapshot" not in quote


async def test_fast_ticks_are_conflated_to_the_rate(tape, market):
    async with market(
        market_feeds=("simulated",), market_symbols=("SPY",), market_tick_hz=500, market_rate_hz=5
    ) as http:
        await tape.until(lambda: len(tape.messages("SPY")) >= 3)
        text = (await http.get("/metrics")).text
    published = len(tape.messages("SPY"))
    line = next(x for x in text.splitlines() if x.startswith("tapewire_market_conflated"))
    assert float(line.split()[-1]) > 20 * published


async def test_snapshot_over_amqp_and_http_tell_the_last_value(tape, market):
    async with market(market_feeds=("simulated",), market_symbols=("SPY", "QQQ")) as http:
        await tape.until(lambda: tape.messages("SPY") and tape.messages("QQQ"))
        asked = {"channels": ["market:SPY", "market:NONE", "sessions:alice", "market:QQQ"]}
        reply = await tape.caller.call(
            topology.MARKET_SNAPSHOT.name, json.dumps(asked).encode(), timeout_s=10
        )
        lines = [json.loads(line) for line in reply.splitlines()]
        assert [line["symbol"] for line in lines] == ["SPY", "QQQ"]
        assert all(line["snapshot"] for line in lines)
        assert [q["symbol"] for q in (await http.get("/v1/quotes")).json()] == ["QQQ", "SPY"]
        assert (await http.get("/v1/quotes/SPY")).json()["type"] == "market_data"
        unknown = await http.get("/v1/quotes/NONE")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_symbol")
        bars = (await http.get("/v1/bars/SPY", params={"interval": "5m"})).json()
        assert bars[-1]["low"] <= bars[-1]["open"] <= bars[-1]["high"]
        nobody = httpx.AsyncClient(base_url=http.base_url, timeout=60)
        async with nobody:
            assert (await nobody.get("/v1/quotes")).status_code == 401


def tick(symbol: str, last: float, **more) -> MarketData:
    return MarketData(
        id=new_id(), timestamp=datetime.now(UTC), symbol=symbol, last=Decimal(str(last)), **more
    )


async def test_producers_ticks_come_out_and_bad_ones_do_not(tape, market):
    async with market(market_feeds=("producers",), market_rate_hz=200) as http:
        for price in (100.0, 100.5):
            await tape.publisher.publish_event(tick("ACME", price))
            await tape.until(lambda price=price: price in [m["last"] for m in tape.messages()])
        await tape.publisher.publish_event(tick("ACME", 101, bid=Decimal(102), ask=Decimal(101)))
        await tape.publisher.publish_event(tick("ACME", 1000))
        await tape.publisher.publish(
            topology.MARKET, "tick.ACME", b"{}", type="market_data", message_id="broken"
        )
        await tape.publisher.publish_event(tick("ACME", 100.25))
        await tape.until(lambda: 100.25 in [m["last"] for m in tape.messages("ACME")])
        text = (await http.get("/metrics")).text
    # On a slow machine a quote may come once more, marked stale.
    assert list(dict.fromkeys(m["last"] for m in tape.messages("ACME"))) == [100.0, 100.5, 100.25]
    for reason in ("crossed", "jump"):
        assert f'feed="producers",reason="{reason}"' in text


async def test_producers_take_a_symbol_over_from_the_simulation(tape, market):
    async with market(market_symbols=("SPY",), market_rate_hz=100):
        await tape.until(lambda: bool(tape.messages("SPY")))
        await tape.publisher.publish_event(tick("SPY", 42.0))
        await tape.until(lambda: tape.messages("SPY")[-1]["last"] == 42.0)
        await tape.publisher.publish_event(tick("SPY", 42.5))
        await tape.until(lambda: tape.messages("SPY")[-1]["last"] == 42.5)
    after = [m["last"] for m in tape.messages("SPY")]
    assert set(after[after.index(42.0) :]) == {42.0, 42.5}


async def test_quotes_of_a_silent_feed_are_marked_stale_and_come_back(tape, market):
    async with market(market_feeds=("producers",), market_silence_s=0.3):
        await tape.publisher.publish_event(tick("ACME", 100.0))
        await tape.until(lambda: any(m.get("stale") for m in tape.messages("ACME")))
        await tape.publisher.publish_event(tick("ACME", 100.1))
        await tape.until(lambda: 100.1 in [m["last"] for m in tape.messages() if "stale" not in m])


def _utc(day: str) -> datetime:
    return datetime.strptime(day, "%b %d %Y").replace(tzinfo=UTC)


async def test_real_prices_are_replayed(tape, market):
    folder = Path(find_spec("vega_datasets").origin).parent / "_data"  # not imported: pandas
    async with market(
        market_feeds=("replay",),
        market_replay_file=folder / "stocks.csv",
        market_replay_speed=86_400 * 365,
        market_rate_hz=500,
    ):
        await tape.until(lambda: len({m["symbol"] for m in tape.messages()}) == 5)
        await tape.until(lambda: len(tape.messages("MSFT")) > 3)
    with (folder / "stocks.csv").open() as file:
        real = {
            (row["symbol"], f"{_utc(row['date']):%Y-%m-%dT%H:%M:%SZ}", float(row["price"]))
            for row in csv.DictReader(file)
        }
    quotes = [m for m in tape.messages() if m["type"] == "market_data"]
    replayed = [(m["symbol"], m["asOf"], m["last"]) for m in quotes]
    assert set(replayed) <= real
    days = [day for symbol, day, _ in replayed if symbol == "MSFT"]
    assert days == sorted(days)


async def test_market_comes_through_a_broken_connection(tape, market, cable):
    async with market(market_feeds=("simulated",), market_symbols=("SPY",)):
        for _ in range(2):
            seen = len(tape.messages("SPY"))
            await tape.until(lambda seen=seen: len(tape.messages("SPY")) > seen + 3)
            cable.cut()
        seen = len(tape.messages("SPY"))
        await tape.until(lambda: len(tape.messages("SPY")) > seen + 3)
