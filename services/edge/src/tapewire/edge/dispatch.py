"""Contents page of the edge's own queue: exchange → what becomes of a message.

Bodies are written as they are; what is needed stands in routing key and headers.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from aiormq.abc import DeliveredMessage

from tapewire.broker.topology import ALERTS, EVENTS, MARKET, RELAY
from tapewire.contracts import SYMBOLS_HEADER
from tapewire.edge import relay
from tapewire.edge.audience import Audience
from tapewire.edge.channels import ACCOUNT, is_live, topics_of
from tapewire.edge.connection import Connection
from tapewire.edge.forwarding import PREFIX
from tapewire.edge.frames import Message
from tapewire.edge.relay import Note

log = logging.getLogger(__name__)

Gathered: TypeAlias = tuple[Mapping[Connection, None], list[tuple[str, Message]]]
"""Quotes that the same connections hear."""

SAME_TRIED: Final = 4  # watch lists; beyond it comparing would cost more than joining saves

QUOTE = b'{"type":"market_data"'  # how a bundle's line begins that a newer one may replace


class Dispatch:
    """Writes live copies to their subscribers and hands relays on.

    Args:
        live: subscribers of class live, and of what concerns a user's account.
        passing: subscribers that have no tray for a topic: nameless connections' sessions.
        on_note: takes other edges' relays.
        on_forwarded: takes requests that other edges pass on.
    """

    def __init__(
        self,
        live: Audience,
        passing: Audience,
        on_note: Callable[[Note], None],
        on_forwarded: Callable[[DeliveredMessage], None],
    ) -> None:
        self._live = live
        self._passing = passing
        self._on_note = on_note
        self._on_forwarded = on_forwarded
        self._handlers: dict[str, Callable[[DeliveredMessage], None]] = {
            MARKET: self._bundle,
            EVENTS: self._event,
            ALERTS: self._alert,
            RELAY: self._relay,
        }

    async def __call__(self, message: DeliveredMessage) -> None:
        """Take one message of the edge's queue."""
        handler = self._handlers.get(message.exchange or "")
        if handler is None:
            log.warning("nothing is done with messages of exchange %r", message.exchange)
            return
        handler(message)

    def _bundle(self, message: DeliveredMessage) -> None:
        symbols = str((message.header.properties.headers or {}).get(SYMBOLS_HEADER, ""))
        lines = message.body.split(b"\n")
        quotes: list[Gathered] = []
        for symbol, line in zip(symbols.split(","), lines, strict=False):
            topic = f"market:{symbol}"
            hearers = self._live.of(topic)
            if not hearers or not line:
                continue
            built = Message(line)
            if line.startswith(QUOTE):
                _gather(quotes, hearers, (topic, built))
            else:
                _tell_gathered(quotes)  # a symbol's messages keep their order
                for connection in list(hearers):
                    connection.recent_message(built)
        _tell_gathered(quotes)

    def _event(self, message: DeliveredMessage) -> None:
        key = message.routing_key or ""
        built = Message(message.body)
        if is_live(EVENTS, key):
            hearers = self._live.of_any(topics_of(EVENTS, key))
            Connection.tell_live(hearers, ((key, built),))
            return
        audience = self._live if key.split(".", 3)[2] == ACCOUNT else self._passing
        for connection in list(audience.of_any(topics_of(EVENTS, key))):
            connection.recent_message(built)

    def _alert(self, message: DeliveredMessage) -> None:
        built = Message(message.body)
        for connection in list(self._passing.of_any(topics_of(ALERTS, message.routing_key or ""))):
            connection.recent_message(built)

    def _relay(self, message: DeliveredMessage) -> None:
        if (message.routing_key or "").startswith(PREFIX):
            self._on_forwarded(message)
            return
        note = relay.read(message)
        if note is not None:
            self._on_note(note)


def _gather(
    quotes: list[Gathered], hearers: Mapping[Connection, None], quote: tuple[str, Message]
) -> None:
    """Put a quote to those that the same connections hear.

    Most people watch the same lists. Comparing two audiences is a fraction of a walk over one of
    them, and what is heard together is joined once and written to each connection as one piece.
    """
    for known, gathered in quotes[-SAME_TRIED:]:
        if len(known) == len(hearers) and known == hearers:
            gathered.append(quote)
            return
    quotes.append((hearers, [quote]))


def _tell_gathered(quotes: list[Gathered]) -> None:
    for hearers, gathered in quotes:
        Connection.tell_live(hearers, gathered)
    quotes.clear()
