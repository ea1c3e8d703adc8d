"""The last value of every symbol, and which of them are to be published. Pure."""

from dataclasses import dataclass, replace
from datetime import date, datetime

from tapewire.contracts import MarketData, new_id
from tapewire.market.tick import Tick

OWNED_FOR_S = 10.0  # a feed that is silent for so long gives a symbol up to a lesser one


@dataclass(frozen=True, slots=True)
class Quote:
    """A symbol's last value. ``heard_at`` is our clock, ``tick.at`` the venue's."""

    tick: Tick
    open: float  # the first price of the day (UTC)
    day: date
    heard_at: datetime
    feed: int  # rank of the feed that told it
    stale: bool = False

    @property
    def change(self) -> float:
        """Return the change since the day's open, %."""
        return (self.tick.last / self.open - 1) * 100


class Book:
    """Last values, and the symbols that changed since they were last taken.

    A symbol belongs to the feed that tells it; a feed of a better (lower) rank takes it over at
    once, a lesser one only when its owner has fallen silent.
    """

    def __init__(self) -> None:
        self._quotes: dict[str, Quote] = {}
        self._changed: dict[str, None] = {}  # a set that keeps order
        self.conflated = 0  # ticks replaced by a newer one before they were taken

    def owns(self, symbol: str, feed: int, now: datetime) -> bool:
        """Return whether ``feed`` may tell ``symbol`` now."""
        quote = self._quotes.get(symbol)
        if quote is None or feed <= quote.feed:
            return True
        return (now - quote.heard_at).total_seconds() > OWNED_FOR_S

    def is_news(self, symbol: str, feed: int) -> bool:
        """Return whether ``symbol`` has another owner than ``feed``, or none."""
        quote = self._quotes.get(symbol)
        return quote is None or quote.feed != feed

    def take(self, tick: Tick, feed: int, now: datetime) -> Quote:
        """Keep a good tick, and return the quote it makes."""
        before = self._quotes.get(tick.symbol)
        day = tick.at.date()
        same = before is not None and before.day == day and before.feed == feed
        opened = before.open if same and before is not None else tick.last
        quote = Quote(tick, opened, day, now, feed)
        self._quotes[tick.symbol] = quote
        self.conflated += tick.symbol in self._changed
        self._changed[tick.symbol] = None
        return quote

    def mark_stale(self, feed: int) -> int:
        """Mark what ``feed`` told as stale, and for publishing; return how many that is."""
        fresh = [s for s, q in self._quotes.items() if q.feed == feed and not q.stale]
        for symbol in fresh:
            self._quotes[symbol] = replace(self._quotes[symbol], stale=True)
            self._changed[symbol] = None
        return len(fresh)

    def take_changed(self) -> list[Quote]:
        """Return the quotes that changed since the last call, the longest waiting first."""
        changed, self._changed = self._changed, {}
        return [self._quotes[symbol] for symbol in changed]

    def put_back(self, symbols: list[str]) -> None:
        """Have these published again: nobody got them."""
        self._changed = dict.fromkeys(symbols) | self._changed

    def quote(self, symbol: str) -> Quote | None:
        """Return a symbol's last value."""
        return self._quotes.get(symbol)

    def quotes(self) -> list[Quote]:
        """Return every last value, by symbol."""
        return [self._quotes[symbol] for symbol in sorted(self._quotes)]


def message_of(quote: Quote, now: datetime, *, snapshot: bool = False) -> MarketData:
    """Return the message that tells a quote."""
    tick = quote.tick
    exact = tick.exact
    return MarketData.model_validate(
        {
            "id": new_id(),
            "timestamp": now,
            "symbol": tick.symbol,
            "last": exact.last if exact else _decimals(tick.last),
            "bid": exact.bid if exact else _decimals(tick.bid),
            "ask": exact.ask if exact else _decimals(tick.ask),
            "volume": tick.volume,
            "change": round(quote.change, 4),
            "as_of": tick.at,
            "stale": True if quote.stale else None,
            "snapshot": True if snapshot else None,
        }
    )


def _decimals(price: float | None) -> str | None:
    """Return a price with the digits that float really has, for ``Decimal``."""
    return None if price is None else f"{price:.12g}"
