"""Ticks that producers publish as `market_data` events."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final

from tapewire.broker import Consumer, Delivery, Link, Settlement, topology
from tapewire.contracts import InvalidEvent, MarketData, parse_event
from tapewire.market.tick import Tick

log = logging.getLogger(__name__)

PREFETCH: Final = 1000  # ticks are small and quickly taken
WAITING: Final = 10_000  # more than a second of a busy day; then the broker keeps the rest


class Producers:
    """The queue `market.ticks` as a feed. Only as alive as its producers: never reconnected.

    Args:
        silence_s: without a tick from any producer for so long, their quotes are stale.
    """

    name = "producers"
    reconnects_when_silent = False
    max_jump = 0.5
    live = True

    def __init__(self, link: Link, *, silence_s: float) -> None:
        self.silence_s: float | None = silence_s
        self._waiting: asyncio.Queue[Tick] = asyncio.Queue(WAITING)
        self.consumer = Consumer(
            link, topology.MARKET_TICKS, self._take, prefetch=PREFETCH, also=topology.FLEET
        )

    async def __aiter__(self) -> AsyncIterator[Tick]:
        """Yield what producers publish, for ever."""
        while True:
            yield await self._waiting.get()

    async def _take(self, delivery: Delivery) -> Settlement:
        try:
            event = parse_event(delivery.body)
        except InvalidEvent as error:
            log.warning("no tick", extra={"key": delivery.routing_key, "fault": str(error)})
            return Settlement.ACK  # the queue has no dead letters: a tick is worth nothing later
        if isinstance(event, MarketData):
            await self._waiting.put(tick_of(event))
        return Settlement.ACK


def tick_of(event: MarketData) -> Tick:
    """Return the tick that a producer's event is."""
    return Tick(
        event.symbol,
        event.as_of or event.timestamp,
        float(event.last),
        None if event.bid is None else float(event.bid),
        None if event.ask is None else float(event.ask),
        event.volume,
    )
