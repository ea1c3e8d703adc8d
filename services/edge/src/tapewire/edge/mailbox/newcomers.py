"""Inboxes that are opened here for the first time, and what came for their users before."""

import asyncio
import logging
from dataclasses import replace
from typing import Final

from tapewire.broker import CONNECTION_ERRORS, BrokerError, full_jitter
from tapewire.broker.topology import MAILROOM, Queue
from tapewire.edge.runtime.admin import Admin, Found
from tapewire.edge.runtime.clock import Clock
from tapewire.edge.runtime.tasks import Tasks

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.02
# What waits in the mailroom for so long waits for desk to come back, and maybe for other users.
WAIT_S: Final = 2.0


class Newcomers:
    """Binds a new inbox for its user behind what the mailroom still has.

    An alert of somebody who has no inbox waits in the mailroom until desk puts it into one. Were
    the inbox bound before that, the alerts that are raised from then on would overtake those. So as
    long as something waits there, new ones take the same way, and stay behind.
    """

    def __init__(self, admin: Admin, clock: Clock, tasks: Tasks) -> None:
        self._admin = admin
        self._clock = clock
        self._tasks = tasks
        self._unbound: set[str] = set()

    async def open(self, inbox: Queue) -> Found:
        """Return what is in an inbox; declare it when it is absent, and bind it in its time.

        Raises:
            OutOfReach, TimeoutError: as `Admin.open`.
        """
        found = await self._admin.look(inbox)
        if found is None:
            found = await self._admin.open(replace(inbox, bindings=inbox.bindings[:-1]))
        if found.was_absent:
            self._unbound.add(inbox.name)
        if inbox.name in self._unbound:
            if await self._is_empty():
                await self._bind(inbox)
            else:
                self._tasks.spawn(self._bind_later(inbox), "bind a new inbox")
        return found

    async def _bind_later(self, inbox: Queue) -> None:
        waits = full_jitter(0.1, 2.0)
        until = self._clock.now() + WAIT_S
        while inbox.name in self._unbound:
            try:
                if self._clock.now() >= until or await self._is_empty():
                    await self._bind(inbox)
                    return
                await asyncio.sleep(LOOK_EVERY_S)
            except (*CONNECTION_ERRORS, BrokerError) as error:
                log.info("new inbox not bound yet: %s", error or type(error).__name__)
                await asyncio.sleep(next(waits))

    async def _is_empty(self) -> bool:
        found = await self._admin.look(MAILROOM)
        return found is None or found.messages == 0

    async def _bind(self, inbox: Queue) -> None:
        await self._admin.bind(inbox.name, inbox.bindings[-1:])
        self._unbound.discard(inbox.name)
