"""What a client sees of a symbol when it subscribes: the last value, asked for over AMQP."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from tapewire.contracts import encode
from tapewire.market.book import Book, message_of

PREFIX: Final = "market:"


def answer(
    request: bytes, book: Book, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> bytes:
    """Return NDJSON: a quote (``"snapshot":true``) for each known symbol that was asked for.

    ``request`` is ``{"channels":["market:SPY"]}``; other channels and unknown symbols get no line.

    Raises:
        ValueError: ``request`` is not of that form.
    """
    asked = json.loads(request)
    channels = asked.get("channels") if isinstance(asked, dict) else None
    if not isinstance(channels, list):
        raise ValueError("a request names its channels")
    now = clock()
    quotes = [
        quote
        for channel in channels
        if isinstance(channel, str) and channel.startswith(PREFIX)
        if (quote := book.quote(channel.removeprefix(PREFIX))) is not None
    ]
    return b"\n".join(encode(message_of(quote, now, snapshot=True)) for quote in quotes)
