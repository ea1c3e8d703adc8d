"""Coinbase Advanced Trade: `ticker` or `ticker_batch`, with `heartbeats`. Public, no credentials.

Source: docs.cdp.coinbase.com, Advanced Trade WebSocket: channels, overview, rate limits (8 new
connections and 8 messages a second and address; disconnected without a subscription in 5 s).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tapewire.market.feeds.feed import FeedRefused
from tapewire.market.feeds.symbols import Symbols
from tapewire.market.feeds.venue import REFUSED_S, Heard, Venue, VenueLost, needed, price, tick_of
from tapewire.market.tick import Tick


class CoinbaseDialogue:
    """One connection's. Its messages are numbered without a hole, whatever their channel."""

    def __init__(self, symbols: Symbols, channel: str) -> None:
        self._symbols = symbols
        self._channel = channel
        self._products = list(symbols.theirs)
        self._number: int | None = None

    def opening(self) -> Sequence[Mapping[str, Any]]:
        """Subscribe; heartbeats keep quiet subscriptions from being closed after 60 to 90 s."""
        return [{"type": "subscribe", "channel": "heartbeats"}, self._subscribe()]

    def hear(self, message: Any) -> Heard:
        """Take an object with `channel`, `sequence_num` and `events`, or an error."""
        if message.get("type") == "error":
            return self._error(f"{message.get('message')} {message.get('reason', '')}".strip())
        number = int(message["sequence_num"])
        if self._number is not None and number <= self._number:
            return Heard()  # out of order: a newer one is known
        missed = 0 if self._number is None else number - self._number - 1
        self._number = number
        if message["channel"] == self._channel:
            return Heard(list(self._ticks(message)), missed=missed)
        if message["channel"] == "subscriptions":
            return Heard(missed=missed, refused=self._missing(message))
        return Heard(missed=missed)

    def _ticks(self, message: Any) -> Iterable[Tick]:
        at = datetime.fromisoformat(message["timestamp"])
        for event in message["events"]:
            for ticker in event["tickers"]:
                symbol = self._symbols.our(ticker["product_id"])
                if symbol is not None:
                    yield tick_of(
                        symbol,
                        at,
                        needed(ticker["price"]),
                        price(ticker.get("best_bid")),
                        price(ticker.get("best_ask")),
                        needed(ticker["volume_24_h"]),
                    )

    def _missing(self, message: Any) -> dict[str, str]:
        subscribed = message["events"][0]["subscriptions"]
        if self._channel not in subscribed:  # that of the heartbeats came first
            return {}
        missing = self._symbols.missing(subscribed[self._channel])
        wanted = {self._symbols.our(product) for product in self._products}
        return {symbol: why for symbol, why in missing.items() if symbol in wanted}

    def _error(self, said: str) -> Heard:
        """Leave out the products that an error names, and subscribe to the others."""
        named = [p for p in self._products if p in said.replace(",", " ").split()]
        if not named:
            raise VenueLost(said)
        self._products = [p for p in self._products if p not in named]
        if not self._products:
            raise FeedRefused(said, retry_after_s=REFUSED_S)
        refused = {self._symbols.our(product) or product: said for product in named}
        return Heard(say=[self._subscribe()], refused=refused)

    def _subscribe(self) -> Mapping[str, Any]:
        return {"type": "subscribe", "product_ids": self._products, "channel": self._channel}


def coinbase(symbols: Symbols, *, channel: str = "ticker", silence_s: float, url: str) -> Venue:
    """Return the feed. ``channel``: a tick each match, or (`ticker_batch`) each 5 s, no bid."""
    return Venue(
        "coinbase",
        url,
        lambda: CoinbaseDialogue(symbols, channel),
        symbols=symbols.ours,
        silence_s=silence_s,
    )
