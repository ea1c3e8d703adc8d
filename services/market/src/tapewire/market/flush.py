"""From the book to the broker: what changed, conflated, in bundles."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from tapewire.broker import (
    CONNECTION_ERRORS,
    BrokerError,
    Link,
    Message,
    Publisher,
    declare,
    topology,
)
from tapewire.contracts import SYMBOLS_HEADER, VolatilityAlert, encode, new_id
from tapewire.market.book import message_of
from tapewire.market.bundle import Bundle, bundles_of
from tapewire.market.intake import Market
from tapewire.service import metrics
from tapewire.service.background import Background

log = logging.getLogger(__name__)

CONFIRM_DEADLINE_S: Final = 2.0  # older than that, a quote is not worth waiting for
PAUSE_S: Final = 0.5  # while the broker is away


class Flush(Background):
    """Publishes what changed, once an interval: a symbol's newest value, each shard one message.

    Messages are transient. While the broker is away nothing piles up: the newest values are
    published when it is back. A slow broker stretches the interval.

    Args:
        market: what is known.
        link: of the publisher.
        publisher: of the bundles.
        interval_s: 0.05 is 20 Hz a symbol.
        clock: the time that messages carry.
    """

    name = "bundles"

    def __init__(
        self,
        market: Market,
        link: Link,
        publisher: Publisher,
        *,
        interval_s: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__()
        self._market = market
        self._link = link
        self._publisher = publisher
        self._interval_s = interval_s
        self._clock = clock
        self._declared: int | None = None  # the connection on which exchanges were looked at

    async def drain(self) -> None:
        """Publish no more: what changes now is told by the next snapshot."""
        await self.stop()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + self._interval_s, loop.time())
            await asyncio.sleep(due - loop.time())
            try:
                await self._declare()
                await self._flush()
                self._fault = None
            except (BrokerError, *CONNECTION_ERRORS) as error:
                if self._fault is None:
                    log.warning("bundles not published", extra={"fault": str(error)})
                self._fault = str(error)
                await asyncio.sleep(PAUSE_S)

    async def _declare(self) -> None:
        if self._declared != self._link.reconnects:
            connection = self._link.reconnects
            await declare(self._link, topology.FLEET)
            self._declared = connection

    async def _flush(self) -> None:
        now = self._clock()
        lines = [
            (q.tick.symbol, encode(message_of(q, now))) for q in self._market.book.take_changed()
        ]
        lines += [(alert.symbol, _line(alert)) for alert in self._market.take_alerts()]
        bundles = bundles_of(lines)
        outcomes = await self._publisher.publish_all(
            [_message(bundle) for bundle in bundles], deadline_s=CONFIRM_DEADLINE_S
        )
        for bundle, fault in zip(bundles, outcomes, strict=True):
            if fault is None:
                metrics.counter(metrics.BUNDLES).add(1)
                metrics.counter(metrics.BUNDLE_LINES).add(len(bundle.symbols))
            else:
                self._market.book.put_back(list(bundle.symbols))
        for fault in outcomes:
            if fault is not None:
                raise fault


def _message(bundle: Bundle) -> Message:
    return Message(
        topology.MARKET,
        bundle.routing_key,
        bundle.body,
        type="bundle",
        message_id=new_id(),
        headers={SYMBOLS_HEADER: ",".join(bundle.symbols)},
        persistent=False,
    )


def _line(alert: VolatilityAlert) -> bytes:
    """Return the message without ``ack``: inside a bundle every level is live."""
    return alert.model_dump_json(by_alias=True, exclude_none=True).encode()
