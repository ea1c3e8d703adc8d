"""What the feeds of venues share: a WebSocket, and a dialogue of one connection over it.

A venue is a `Dialogue`: pure, made anew for each connection; it says what to send and what ticks a
message holds. Connecting, pacing, reading JSON and telling what went wrong is here; waiting and
connecting again is `Intake`'s.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tapewire.market.feeds.feed import FeedRefused
from tapewire.market.tick import Exact, Tick
from tapewire.service import metrics

log = logging.getLogger(__name__)

PACE_S: Final = 0.25  # between messages of ours: Binance takes 5 a second, pongs among them
CONNECT_S: Final = 10.0
CLOSE_S: Final = 1.0  # a venue that does not answer a goodbye is left without one
LARGEST: Final = 2**20  # bytes of a message: a ticker is 500, an ack of 500 symbols 10 KB
HEARD_WITHIN_S: Final = 30.0  # a symbol that trades at all was told by then
REFUSED_S: Final = 300.0  # until credentials or a subscription are tried again
REFUSALS: Final = {401, 403, 418, 429, 451}  # of the handshake; 418: Binance's word for a ban

# The library writes what is sent into its log at DEBUG, credentials too.
_wire = logging.getLogger(f"{__name__}.wire")
_wire.setLevel(logging.INFO)


class VenueLost(Exception):
    """The venue said that this connection is of no more use; a new one may be."""


@dataclass(slots=True)
class Heard:
    """What a message came to. ``say`` is sent in order, ``ticks`` go to the market."""

    ticks: Sequence[Tick] = ()
    say: Sequence[Mapping[str, Any]] = ()
    missed: int = 0  # messages that the venue's sequence numbers left out
    refused: Mapping[str, str] = field(default_factory=dict[str, str])  # symbol → why; others go on


class Dialogue(Protocol):
    """One connection's conversation. Pure.

    ``hear`` raises `VenueLost` or `FeedRefused` for what the venue says; whatever else it raises
    (a field that is missing, no number) means that the message is not understood.
    """

    def opening(self) -> Sequence[Mapping[str, Any]]:
        """Return what to send first."""
        ...

    def hear(self, message: Any) -> Heard:
        """Take a message; JSON, its fractions as `Decimal`."""
        ...


class Venue:
    """A venue's prices as a feed.

    Args:
        name: of the feed.
        url: `wss://…`.
        dialogue: makes the dialogue of a new connection.
        symbols: the desk's names, to tell which were never heard of.
        silence_s: without a tick for so long, it is connected anew.
    """

    reconnects_when_silent = True
    max_jump = 0.2
    live = True

    def __init__(
        self,
        name: str,
        url: str,
        dialogue: Callable[[], Dialogue],
        *,
        symbols: Sequence[str],
        silence_s: float,
    ) -> None:
        self.name = name
        self.silence_s: float | None = silence_s
        self._url = url
        self._dialogue = dialogue
        self._symbols = symbols
        self._label = {"feed": name}

    async def __aiter__(self) -> AsyncIterator[Tick]:
        """Connect, subscribe, and yield ticks until the connection is lost.

        Raises:
            FeedRefused: the venue will not have us, for a reason that stays.
            VenueLost: the venue said that it ends.
            OSError, TimeoutError, websockets.WebSocketException: the connection failed.
        """
        try:
            connecting = await connect(
                self._url,
                open_timeout=CONNECT_S,
                close_timeout=CLOSE_S,
                max_size=LARGEST,
                logger=_wire,
            )
        except InvalidStatus as error:
            raise _status(error) from error
        async with connecting as socket:
            async for tick in self._converse(socket):
                yield tick

    async def _converse(self, socket: ClientConnection) -> AsyncIterator[Tick]:
        dialogue = self._dialogue()
        loop = asyncio.get_running_loop()
        judged_at = loop.time() + HEARD_WITHIN_S
        unheard = set(self._symbols)
        malformed = False
        await self._say(socket, dialogue.opening())
        while True:  # not `async for`: it takes a friendly goodbye for the end of the feed
            frame = await socket.recv()
            try:
                heard = dialogue.hear(json.loads(frame, parse_float=Decimal))
            except (VenueLost, FeedRefused):
                raise
            except (ValueError, LookupError, TypeError, AttributeError, InvalidOperation) as error:
                metrics.counter(metrics.BAD_TICKS).add(1, self._label | {"reason": "malformed"})
                if not malformed:  # once a connection
                    fault = f"{type(error).__name__}: {error}"[:200]
                    log.warning("message not understood", extra=self._label | {"fault": fault})
                malformed = True
                continue
            if heard.missed:
                metrics.counter(metrics.FEED_GAPS).add(1, self._label)
                log.warning("feed has a gap", extra=self._label | {"missed": heard.missed})
            for symbol, why in heard.refused.items():
                unheard.discard(symbol)
                log.error("symbol refused", extra=self._label | {"symbol": symbol, "fault": why})
            for tick in heard.ticks:
                unheard.discard(tick.symbol)
                yield tick
            if unheard and loop.time() > judged_at:
                names = ", ".join(sorted(unheard))
                log.error("symbols never heard of", extra=self._label | {"symbols": names})
                unheard.clear()
            await self._say(socket, heard.say)

    async def _say(self, socket: ClientConnection, messages: Sequence[Mapping[str, Any]]) -> None:
        for n, message in enumerate(messages):
            if n:
                await asyncio.sleep(PACE_S)
            await socket.send(json.dumps(message))


def _status(error: InvalidStatus) -> Exception:
    """Return what a refused handshake means."""
    code = error.response.status_code
    if code not in REFUSALS:
        return error
    wait = error.response.headers.get("Retry-After", "")
    return FeedRefused(
        f"HTTP {code} {error.response.reason_phrase}",
        retry_after_s=max(REFUSED_S, float(wait) if wait.isdecimal() else 0.0),
    )


def tick_of(
    symbol: str,
    at: datetime,
    last: Decimal,
    bid: Decimal | None = None,
    ask: Decimal | None = None,
    volume: Decimal | None = None,
    *,
    traded: bool = True,
) -> Tick:
    """Return a tick that keeps the digits that the venue wrote."""
    return Tick(
        symbol,
        at,
        float(last),
        None if bid is None else float(bid),
        None if ask is None else float(ask),
        None if volume is None else float(volume),
        Exact(last, bid, ask),
        traded,
    )


def price(text: object) -> Decimal | None:
    """Return a price; None where there is none, which venues write as 0 or "".

    Raises:
        InvalidOperation: this is no number.
    """
    value = Decimal(str(text)) if text not in (None, "") else Decimal(0)
    return value or None


def needed(text: object) -> Decimal:
    """Return a price that has to be there; 0 is for the sieve to judge.

    Raises:
        InvalidOperation: this is no number.
    """
    return Decimal(str(text))
