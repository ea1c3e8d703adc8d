"""The clock: what falls due by the passing of time alone."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from tapewire.risk.engine import Engine
from tapewire.risk.stopping import Stopping, utc_now
from tapewire.risk.store import Store
from tapewire.service import metrics
from tapewire.service.background import Background
from tapewire.service.database import DATABASE_ERRORS

log = logging.getLogger(__name__)

BATCH: Final = 200  # sessions a look; the rest is due at the next one
FORGET_EVERY_S: Final = 3600.0
COUNT_EVERY_S: Final = 5.0  # a third of what Prometheus asks at: the figure is never older


class Ticker(Background):
    """Looks at the clock of whatever is due. Any process may: each look locks its session.

    Args:
        store: says what is due.
        engine: told to look.
        stopping: told which stops nobody answered.
        hears: health of what hears events; while one is deaf, silence says nothing of producers.
        every_s: how often.
        patience_s: how long we must have heard before silence counts.
        listen_s: likewise, before an acknowledgement counts as missing.
        retention: how long what nobody needs is kept.
        clock: our clock.
    """

    name = "ticker"

    def __init__(
        self,
        store: Store,
        engine: Engine,
        stopping: Stopping,
        *,
        hears: Sequence[Callable[[], str | None]],
        every_s: float,
        patience_s: float,
        listen_s: float,
        retention: timedelta,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__()
        self._store = store
        self._engine = engine
        self._stopping = stopping
        self._hears = hears
        self._every_s = every_s
        self._patience = timedelta(seconds=patience_s)
        self._listen = timedelta(seconds=listen_s)
        self._retention = retention
        self._clock = clock
        self._deaf_at = clock()
        self._counted: set[tuple[str, str]] = set()

    async def drain(self) -> None:
        """Look no more; what is due stays so for the next process."""
        await self.stop()

    async def look(self) -> None:
        """Look once at all that is due."""
        now = self._clock()
        if any(health() is not None for health in self._hears):
            self._deaf_at = now
        blind = now - self._deaf_at < self._patience
        deaf = now - self._deaf_at < self._listen
        for user, session in await self._store.due(now, limit=BATCH):
            await self._engine.look(user, session, blind=blind, deaf=deaf)
        await self._stopping.look()

    async def _run(self) -> None:
        forget_at = self._clock()
        count_at = monotonic()
        while True:
            try:
                await self.look()
                if monotonic() >= count_at:
                    count_at = monotonic() + COUNT_EVERY_S
                    await self._count()
                if self._clock() >= forget_at:
                    forget_at = self._clock() + timedelta(seconds=FORGET_EVERY_S)
                    await self.forget()
                self._fault = None
            except DATABASE_ERRORS as error:
                if self._fault is None:
                    log.warning("ticker", extra={"fault": str(error)})
                self._fault = f"{type(error).__name__}: {error}"[:200]
            await asyncio.sleep(self._every_s)

    async def forget(self) -> None:
        """Delete what is older than the retention, some of it at a time."""
        before, more = self._clock() - self._retention, True
        while more:
            async with self._store.work(short=False) as work:
                more = await work.forget(before)

    async def _count(self) -> None:
        """Tell how many episodes are open, whichever process opened them."""
        gauge, found = metrics.gauge(metrics.EPISODES), await self._store.count_open()
        for rule, state in self._counted - found.keys():
            gauge.forget({"rule": rule, "state": state})
        for (rule, state), count in found.items():
            gauge.set(count, {"rule": rule, "state": state})
        self._counted = set(found)
