"""Binance spot: combined streams `<symbol>@ticker` and `<symbol>@bookTicker`. No credentials.

Source: binance-spot-api-docs, web-socket-streams.md: 5 messages a second to it, 1024 streams a
connection, 300 connections in 5 minutes and address (`Intake` makes 20 at its most eager), a
connection ends after 24 h, `serverShutdown` says so before; pings are answered by the library.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from tapewire.market.feeds.feed import FeedRefused
from tapewire.market.feeds.symbols import Symbols
from tapewire.market.feeds.venue import REFUSED_S, Heard, Venue, VenueLost, needed, price, tick_of

AT_ONCE: Final = 100  # streams in one SUBSCRIBE: 3 KB
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class BinanceDialogue:
    """One connection's. Last price, volume and time come once a second, bid and ask at once.

    A book ticker carries no time: it has that of the last ticker. Its `u` grows, but not by ones:
    what is out of order is seen, a gap is not.
    """

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self._told: dict[str, tuple[datetime, Decimal, Decimal]] = {}  # at, last, volume
        self._updates: dict[str, int] = {}

    def opening(self) -> Sequence[Mapping[str, Any]]:
        """Subscribe to two streams for each symbol."""
        streams = [
            f"{name.lower()}@{kind}"
            for name in self._symbols.theirs
            for kind in ("ticker", "bookTicker")
        ]
        return [
            {"method": "SUBSCRIBE", "params": streams[n : n + AT_ONCE], "id": n // AT_ONCE + 1}
            for n in range(0, len(streams), AT_ONCE)
        ]

    def hear(self, message: Any) -> Heard:
        """Take `{"stream", "data"}`, the answer to a subscription, an error or a farewell."""
        data = message.get("data", message)
        if data.get("e") == "serverShutdown":
            raise VenueLost("the server shuts down")
        fault = message.get("error", message)
        if "code" in fault:
            raise FeedRefused(f"{fault['code']} {fault.get('msg')}", retry_after_s=REFUSED_S)
        if "data" not in message:
            return Heard()  # the answer: `{"result": null, "id": 1}`
        symbol = self._symbols.our(data["s"])
        if symbol is None:
            return Heard()
        if data.get("e") == "24hrTicker":
            return self._ticker(symbol, data)
        return self._book(symbol, data)

    def _ticker(self, symbol: str, data: Any) -> Heard:
        at = EPOCH + timedelta(milliseconds=int(data["E"]))
        told = (at, needed(data["c"]), needed(data["v"]))
        tick = tick_of(symbol, at, told[1], price(data["b"]), price(data["a"]), told[2])
        self._told[symbol] = told  # an absurd time, too: the next second's mends it
        return Heard([tick])

    def _book(self, symbol: str, data: Any) -> Heard:
        update, bid, ask = int(data["u"]), price(data["b"]), price(data["a"])
        if symbol not in self._told or update <= self._updates.get(symbol, -1):
            return Heard()
        self._updates[symbol] = update
        at, last, volume = self._told[symbol]
        return Heard([tick_of(symbol, at, last, bid, ask, volume, traded=False)])


def binance(symbols: Symbols, *, silence_s: float, url: str) -> Venue:
    """Return the feed; at most 512 symbols."""
    return Venue(
        "binance",
        url,
        lambda: BinanceDialogue(symbols),
        symbols=symbols.ours,
        silence_s=silence_s,
    )
