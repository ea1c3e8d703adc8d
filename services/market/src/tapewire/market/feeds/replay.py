"""Recorded prices, played again: CSV or Parquet, ticks or bars."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from tapewire.market.tick import Tick

COLUMNS: Final = {  # ours → what files call it, in lower case
    "symbol": ("symbol", "ticker", "instrument", "sym"),
    "at": ("timestamp", "time", "datetime", "date", "ts", "at"),
    "last": ("last", "price", "trade_price"),
    "bid": ("bid", "bid_price"),
    "ask": ("ask", "ask_price"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c", "adj close"),
    "volume": ("volume", "v", "vol", "size"),
}
BAR: Final = ("open", "high", "low", "close")
TIME_FORMATS: Final = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%b %d %Y", "%d.%m.%Y", "%m/%d/%Y")
EPOCH_UNITS: Final = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (0.0, 1.0))  # from → per second


class UnreadablePrices(ValueError):
    """The file is no series of prices that we understand; the message says what is missing."""


class Replay:
    """Plays a file of prices.

    A bar becomes four ticks: open, the extreme that the bar moved away from, the other one, close.
    Ticks carry the recorded time; each time round is moved on by the length of the record.

    Args:
        path: `.csv` (with a header) or `.parquet`. Columns are found by their usual names: a time,
            and a price or open, high, low, close; symbol, bid, ask and volume where there are any.
        speed: 60 plays an hour in a minute.
        symbol: for files without a column for it.
        loop: begin again at the end.
        longest_wait_s: nights and weekends are cut down to this, by our clock.
    """

    name = "replay"
    silence_s = None
    reconnects_when_silent = False
    max_jump = 0.7  # a record may step from one month to the next
    live = False

    def __init__(
        self,
        path: Path,
        *,
        speed: float = 1.0,
        symbol: str | None = None,
        loop: bool = True,
        longest_wait_s: float = 2.0,
    ) -> None:
        self._path = path
        self._speed = speed
        self._symbol = symbol
        self._loop = loop
        self._longest_wait_s = longest_wait_s

    async def __aiter__(self) -> AsyncIterator[Tick]:
        """Read the file, and yield its ticks at their pace.

        Raises:
            UnreadablePrices: see there.
            OSError: the file cannot be read.
        """
        ticks = await asyncio.to_thread(read_ticks, self._path, symbol=self._symbol)
        span = ticks[-1].at - ticks[0].at + _step(ticks)
        moved = timedelta(0)
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            before = ticks[0].at
            for tick in ticks:
                gap = (tick.at - before).total_seconds() / self._speed
                before = tick.at
                due += min(gap, self._longest_wait_s)
                await asyncio.sleep(max(0.0, due - loop.time()))
                yield Tick(tick.symbol, tick.at + moved, tick.last, tick.bid, tick.ask, tick.volume)
            if not self._loop:
                return
            moved += span


def read_ticks(path: Path, *, symbol: str | None = None) -> list[Tick]:
    """Return the ticks of a file, in order of time.

    Raises:
        UnreadablePrices: no time, no price, no symbol, or no row.
    """
    rows = _columns(_table(path), path)
    if "symbol" not in rows:
        if symbol is None:
            raise UnreadablePrices(f"{path}: no column of symbols, and none was named")
        rows["symbol"] = [symbol] * len(rows["at"])
    by_symbol: dict[str, list[Tick]] = {}
    for tick in _bars(rows) if "last" not in rows else _ticks(rows):
        by_symbol.setdefault(tick.symbol, []).append(tick)
    if not by_symbol:
        raise UnreadablePrices(f"{path}: no row with a price")
    for ticks in by_symbol.values():
        ticks.sort(key=lambda tick: tick.at)
    return list(heapq.merge(*by_symbol.values(), key=lambda tick: tick.at))


def _table(path: Path) -> pa.Table:
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return pa_parquet.read_table(path)
        options = pa_csv.ConvertOptions(timestamp_parsers=[pa_csv.ISO8601, *TIME_FORMATS])
        return pa_csv.read_csv(path, convert_options=options)
    except pa.ArrowInvalid as error:
        raise UnreadablePrices(f"{path}: {error}") from error


def _columns(table: pa.Table, path: Path) -> dict[str, list[Any]]:
    there = {name.strip().lower(): name for name in table.column_names}
    found: dict[str, list[Any]] = {}
    for ours, theirs in COLUMNS.items():
        name = next((there[t] for t in theirs if t in there), None)
        if name is not None:
            column = table.column(name)
            found[ours] = _times(column, path) if ours == "at" else column.to_pylist()
    if "at" not in found:
        raise UnreadablePrices(f"{path}: no column of times among {', '.join(table.column_names)}")
    if "last" not in found and "close" in found and not all(name in found for name in BAR):
        found["last"] = found["close"]
    if "last" not in found and not all(name in found for name in BAR):
        raise UnreadablePrices(f"{path}: no price, nor open, high, low and close")
    return found


def _times(column: pa.ChunkedArray, path: Path) -> list[datetime]:
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us"))
    if pa.types.is_timestamp(column.type):
        values = column.cast(pa.timestamp("us", tz=column.type.tz)).to_pylist()
        return [v.replace(tzinfo=UTC) if v.tzinfo is None else v.astimezone(UTC) for v in values]
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        values = column.to_pylist()
        largest = max(map(abs, values), default=0)
        per_second = next(unit for least, unit in EPOCH_UNITS if largest >= least)
        return [datetime.fromtimestamp(v / per_second, UTC) for v in values]
    raise UnreadablePrices(f"{path}: times of type {column.type} are not understood")


def _ticks(rows: dict[str, list[Any]]) -> Iterator[Tick]:
    none = [None] * len(rows["at"])
    for symbol, at, last, bid, ask, volume in zip(
        rows["symbol"],
        rows["at"],
        rows["last"],
        rows.get("bid", none),
        rows.get("ask", none),
        rows.get("volume", none),
        strict=True,
    ):
        if last is not None:
            yield Tick(str(symbol), at, float(last), _float(bid), _float(ask), _float(volume))


def _bars(rows: dict[str, list[Any]]) -> Iterator[Tick]:
    step = _bar_step(rows["symbol"], rows["at"])
    for n, at in enumerate(rows["at"]):
        prices = [rows[name][n] for name in BAR]
        if any(price is None for price in prices):
            continue
        opened, high, low, close = map(float, prices)
        path = (opened, low, high, close) if close >= opened else (opened, high, low, close)
        volume = _float(rows["volume"][n]) if "volume" in rows else None
        for quarter, price in enumerate(path):
            yield Tick(str(rows["symbol"][n]), at + step * quarter / 4, price, volume=volume)


def _bar_step(symbols: Sequence[Any], times: Sequence[datetime]) -> timedelta:
    """Return the shortest distance between two bars of one symbol; a day if there is one bar."""
    last: dict[Any, datetime] = {}
    gaps: list[timedelta] = []
    for symbol, at in sorted(zip(symbols, times, strict=True), key=lambda pair: pair[1]):
        if symbol in last and at > last[symbol]:
            gaps.append(at - last[symbol])
        last[symbol] = at
    return min(gaps, default=timedelta(days=1))


def _step(ticks: Sequence[Tick]) -> timedelta:
    """Return how long to wait between the end of a record and its beginning."""
    return (ticks[-1].at - ticks[0].at) / max(len(ticks) - 1, 1)


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
