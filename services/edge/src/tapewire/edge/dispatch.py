"""Contents page of the edge's own queue: exchange → what becomes of a message.

Bodies are written as they are; what is needed stands in routing key and headers.
"""

import logging
from collections.abc import Callable, Iterable

from aiormq.abc import DeliveredMessage

from tapewire.broker.topology import ALERTS, EVENTS, MARKET, RELAY
from tapewire.contracts import SYMBOLS_HEADER
from tapewire.contracts.routing import CRITICAL_LEVELS
from tapewire.edge.connection.channels import ACCOUNT, PREFERENCES, is_live, topics_of
from tapewire.edge.connection.connection import Connection
from tapewire.edge.connection.walk import Hearers
from tapewire.edge.fallback.forwarding import PREFIX
from tapewire.edge.live.audience import Audience
from tapewire.edge.live.pacing import Pacing
from tapewire.edge.mailbox import relay
from tapewire.edge.mailbox.relay import Note
from tapewire.edge.transport.frames import Message

log = logging.getLogger(__name__)

QUOTE = b'{"type":"market_data"'  # how a bundle's line begins that a newer one may replace


class Dispatch:
    """Writes live copies to their subscribers and hands relays on.

    Args:
        live: subscribers of class live, and of what concerns a user's account.
        passing: subscribers that have no tray for a topic: nameless connections' sessions.
        on_note: takes other edges' relays.
        on_forwarded: takes requests that other edges pass on.
        on_preferences: takes the changes of users' preferences.
    """

    def __init__(
        self,
        live: Audience,
        passing: Audience,
        on_note: Callable[[Note], None],
        on_forwarded: Callable[[DeliveredMessage], None],
        on_preferences: Callable[[bytes], None],
        pacing: Pacing,
    ) -> None:
        self._live = live
        self._pacing = pacing
        self._on_preferences = on_preferences
        self._passing = passing
        self._on_note = on_note
        self._on_forwarded = on_forwarded
        self._handlers: dict[str, Callable[[DeliveredMessage], None]] = {
            MARKET: self._bundle,
            EVENTS: self._event,
            ALERTS: self._alert,
            RELAY: self._relay,
        }

    def __call__(self, message: DeliveredMessage) -> None:
        """Take one message of the edge's queue."""
        handler = self._handlers.get(message.exchange or "")
        if handler is None:
            log.warning("nothing is done with messages of exchange %r", message.exchange)
            return
        handler(message)

    def _bundle(self, message: DeliveredMessage) -> None:
        symbols = str((message.header.properties.headers or {}).get(SYMBOLS_HEADER, ""))
        lines = message.body.split(b"\n")
        paced = bool(self._pacing)
        for symbol, line in zip(symbols.split(","), lines, strict=False):
            topic = f"market:{symbol}"
            if paced and line:
                self._pace(topic, line)
            hearers = self._live.of(topic)
            if not hearers or not line:
                continue
            built = Message(line)
            if line.startswith(QUOTE):
                _share(hearers, topic, built)
            else:
                _notify(hearers, built)

    def _pace(self, topic: str, line: bytes) -> None:
        if line.startswith(QUOTE):
            self._pacing.quote(topic, Message(line))
        else:
            _notify(self._pacing.audience.of(topic), Message(line))

    def _event(self, message: DeliveredMessage) -> None:
        key = message.routing_key or ""
        built = Message(message.body)
        if is_live(EVENTS, key):
            _share(self._live.of_any(topics_of(EVENTS, key)), key, built)
            return
        _, _, kind, detail = key.split(".", 3)
        if kind == ACCOUNT and detail == PREFERENCES:
            self._on_preferences(message.body)
        audience = self._live if kind == ACCOUNT else self._passing
        _tell(audience.of_any(topics_of(EVENTS, key)), built, message)

    def _alert(self, message: DeliveredMessage) -> None:
        built = Message(message.body)
        hearers = self._passing.of_any(topics_of(ALERTS, message.routing_key or ""))
        _tell(hearers, built, message)

    def _relay(self, message: DeliveredMessage) -> None:
        if (message.routing_key or "").startswith(PREFIX):
            self._on_forwarded(message)
            return
        note = relay.read(message)
        if note is not None:
            self._on_note(note)


def _share(hearers: Hearers, key: str, built: Message) -> None:
    """Write a message of class live to each."""
    for connection in hearers:  # all have the process's one flusher
        connection.flusher.share(hearers, key, built)
        return


def _tell(hearers: Iterable[Connection], built: Message, message: DeliveredMessage) -> None:
    """Write what comes by no tray to each, but for those whose users hide it."""
    type, level = message.header.properties.message_type or "", _level(message.routing_key)
    for connection in hearers:  # one that is too slow is closed, and hears no more
        connection.recent_message(built, type, level)


def _level(routing_key: str | None) -> str:
    return (routing_key or "").rpartition(".")[2]


def _notify(hearers: Iterable[Connection], built: Message) -> None:
    """Write a bundle's line that is no quote: word of a symbol's volatility."""
    level = next((name for name in CRITICAL_LEVELS if f'"{name}"'.encode() in built.body), "")
    for connection in hearers:
        connection.recent_message(built, "volatility_alert", level or "warning")
