"""Alpaca market data v2 for stocks (`iex`, `sip`): trades, quotes, bars of minutes and of the day.

Source: docs.alpaca.markets, WebSocket stream and real-time stock data. A user has one connection
to an endpoint, and ten seconds to authenticate; the free plan has 30 symbols and `iex`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from tapewire.market.feeds.feed import FeedRefused
from tapewire.market.feeds.symbols import Symbols
from tapewire.market.feeds.venue import REFUSED_S, Heard, Venue, VenueLost, needed, price, tick_of
from tapewire.market.tick import Tick

KINDS: Final = ("trades", "quotes", "bars", "dailyBars")
BUSY_S: Final = 30.0  # another connection has the one place; ours of before may be about to leave
AGAIN_AFTER_S: Final = {  # error code → until it is tried again; any other: as a lost connection
    401: REFUSED_S,  # not authenticated
    402: REFUSED_S,  # auth failed
    405: REFUSED_S,  # symbol limit exceeded
    406: BUSY_S,  # connection limit exceeded
    409: REFUSED_S,  # insufficient subscription
    410: REFUSED_S,  # invalid subscribe action for this feed
    413: REFUSED_S,
}
NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Known:
    """What was told of one symbol, piece by piece."""

    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    volume: Decimal | None = None
    traded_at: datetime = NEVER
    quoted_at: datetime = NEVER


class AlpacaDialogue:
    """One connection's: welcome → auth → authenticated → subscribe → subscription, then data."""

    def __init__(self, symbols: Symbols, key_id: str, secret: str) -> None:
        self._symbols = symbols
        self._key_id = key_id
        self._secret = secret
        self._known: dict[str, _Known] = {}

    def opening(self) -> Sequence[Mapping[str, Any]]:
        """Wait: the venue speaks first."""
        return ()

    def hear(self, message: Any) -> Heard:
        """Take an array of messages; its data counts until one of them is refused."""
        heard, ticks = Heard(), list[Tick]()
        for part in message:
            match part["T"]:
                case "success" if part["msg"] == "connected":
                    heard.say = [{"action": "auth", "key": self._key_id, "secret": self._secret}]
                case "success" if part["msg"] == "authenticated":
                    names = list(self._symbols.theirs)
                    heard.say = [{"action": "subscribe"} | dict.fromkeys(KINDS, names)]
                case "subscription":
                    heard.refused = self._symbols.missing(part.get("trades") or ())
                case "error":
                    raise _error(part)
                case "t" | "q" | "b" | "d" as kind:
                    symbol = self._symbols.our(part["S"])
                    if symbol is not None:
                        ticks += self._data(kind, symbol, part)
                case _:
                    pass  # corrections, halts and what is to come
        heard.ticks = ticks
        return heard

    def _data(self, kind: str, symbol: str, part: Any) -> list[Tick]:
        """Put a piece to what is known; nothing to tell before there is a last price.

        A trade that is older than the one before (a quote likewise) goes on with its own time,
        for the sieve to set aside and count.
        """
        at = datetime.fromisoformat(part["t"])
        known = self._known.setdefault(symbol, _Known())
        if kind == "d":
            known.volume = needed(part["v"])
            return []
        if kind == "b":  # a minute that ended: the last price of who has not traded since
            if known.last is not None:
                return []
            kind, at, part = "t", at + timedelta(minutes=1), {"p": part["c"]}
        if kind == "t":
            last = needed(part["p"])
            if at < known.traded_at:
                return [tick_of(symbol, at, last)]
            if last > 0:
                known.last = last
            known.traded_at = at
        else:
            last = known.last
            bid, ask = price(part["bp"]), price(part["ap"])
            if at < known.quoted_at:
                return [] if last is None else [tick_of(symbol, at, last, bid, ask, traded=False)]
            known.bid, known.ask, known.quoted_at = bid, ask, at
        if last is None:
            return []
        at = max(known.traded_at, known.quoted_at)
        return [tick_of(symbol, at, last, known.bid, known.ask, known.volume, traded=kind == "t")]


def _error(part: Any) -> Exception:
    said = f"{part['code']} {part.get('msg')}"
    wait = AGAIN_AFTER_S.get(int(part["code"]))
    return VenueLost(said) if wait is None else FeedRefused(said, retry_after_s=wait)


def alpaca(symbols: Symbols, *, key_id: str, secret: str, silence_s: float, url: str) -> Venue:
    """Return the feed. ``url`` ends in the source, `iex` or `sip`."""
    return Venue(
        "alpaca",
        url,
        lambda: AlpacaDialogue(symbols, key_id, secret),
        symbols=symbols.ours,
        silence_s=silence_s,
    )
