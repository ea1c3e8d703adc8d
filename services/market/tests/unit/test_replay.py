import json
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tapewire.market.feeds.replay import Replay, UnreadablePrices, read_ticks

# Not imported: it has pandas, which takes seconds, and each worker collects this module.
FOLDER = Path(find_spec("vega_datasets").origin).parent / "_data"


def write(folder: Path, text: str) -> Path:
    path = folder / "prices.csv"
    path.write_text(text)
    return path


EXAMPLE = Path(__file__).resolve().parents[4] / "examples" / "prices" / "stocks-2000-2010.csv"


@pytest.mark.parametrize("path", [FOLDER / "stocks.csv", EXAMPLE], ids=["source", "example"])
def test_real_monthly_prices_are_read_in_order_of_time(path):
    ticks = read_ticks(path)
    assert {tick.symbol for tick in ticks} == {"MSFT", "AMZN", "IBM", "GOOG", "AAPL"}
    assert len(ticks) == 560
    assert [t.at for t in ticks] == sorted(t.at for t in ticks)
    first = {tick.symbol: (tick.at, tick.last) for tick in reversed(ticks)}
    assert first["MSFT"] == (datetime(2000, 1, 1, tzinfo=UTC), 39.81)


def test_real_bars_become_four_ticks_that_stay_within_them(tmp_path):
    rows = json.loads((FOLDER / "ohlc.json").read_text())
    table = pa.table(
        {
            "Date": pa.array([datetime.fromisoformat(r["date"]) for r in rows], pa.timestamp("ns")),
            **{name: [r[name] for r in rows] for name in ("open", "high", "low", "close")},
        }
    )
    path = tmp_path / "vix.parquet"
    pq.write_table(table, path)
    ticks = read_ticks(path, symbol="VIX")
    assert len(ticks) == 4 * len(rows)
    for n, row in enumerate(rows):
        four = ticks[4 * n : 4 * n + 4]
        prices = [tick.last for tick in four]
        assert (prices[0], prices[-1]) == (row["open"], row["close"])
        assert (max(prices), min(prices)) == (row["high"], row["low"])
    assert ticks[1].at - ticks[0].at == timedelta(hours=6)


@pytest.mark.parametrize(
    "text",
    [
        "symbol,timestamp,price\nSPY,2025-03-03T14:30:00Z,512.5\n",
        "Ticker,Time,Last\nSPY,2025-03-03 14:30:00,512.5\n",
        "symbol,ts,last\nSPY,1741012200,512.5\n",
        "symbol,ts,last\nSPY,1741012200000,512.5\n",
        "symbol,ts,last\nSPY,1741012200000000000,512.5\n",
        "symbol,timestamp,price\nSPY,2025-03-03T16:30:00+02:00,512.5\n",
    ],
)
def test_usual_ways_to_write_a_tick_are_understood(tmp_path, text):
    (tick,) = read_ticks(write(tmp_path, text))
    assert (tick.symbol, tick.at, tick.last) == (
        "SPY",
        datetime(2025, 3, 3, 14, 30, tzinfo=UTC),
        512.5,
    )


def test_bid_ask_and_volume_come_along_and_gaps_are_passed_over(tmp_path):
    text = "time,price,bid,ask,volume\n2025-03-03,1.5,1.4,1.6,10\n2025-03-04,,1.4,1.6,10\n"
    (tick,) = read_ticks(write(tmp_path, text), symbol="X")
    assert (tick.bid, tick.ask, tick.volume) == (1.4, 1.6, 10)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("symbol,price\nSPY,1\n", "no column of times among symbol, price"),
        ("symbol,date\nSPY,2025-03-03\n", "no price"),
        ("date,price\n2025-03-03,1\n", "no column of symbols"),
        ("symbol,date,price\n", "not understood|no row"),
        ("symbol,date,price\nSPY,soon,1\n", "not understood"),
        ("symbol,date,price\nSPY,2025-03-03\n", "prices.csv"),
    ],
)
def test_unreadable_files_say_what_is_missing(tmp_path, text, why):
    with pytest.raises(UnreadablePrices, match=why):
        read_ticks(write(tmp_path, text))


async def test_replay_goes_round_and_time_goes_on(tmp_path):
    text = "symbol,time,price\nA,2025-03-03 10:00:00,1\nA,2025-03-03 10:00:01,2\n"
    seen = []
    async for tick in Replay(write(tmp_path, text), speed=1e6):
        seen.append(tick)
        if len(seen) == 6:
            break
    assert [tick.last for tick in seen] == [1, 2, 1, 2, 1, 2]
    assert [t.at for t in seen] == sorted({t.at for t in seen})


async def test_replay_ends_when_it_does_not_loop(tmp_path):
    text = "symbol,time,price\nA,2025-03-03 10:00:00,1\nA,2025-03-04 10:00:00,2\n"
    feed = Replay(write(tmp_path, text), speed=1e9, loop=False)
    assert [tick.last async for tick in feed] == [1, 2]
