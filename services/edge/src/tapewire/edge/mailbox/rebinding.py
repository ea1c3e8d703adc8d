"""Binding trays again that were there already: a crash may have left one half declared."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from tapewire.broker.topology import Binding, Queue
from tapewire.edge.mailbox.faults import BROKER_FAULTS
from tapewire.edge.runtime.admin import Admin
from tapewire.edge.runtime.tasks import Tasks

log = logging.getLogger(__name__)

# Binding a tray is as much work for the broker as all that a welcome needs: it yields to those who
# wait for theirs, but for no longer than this.
YIELDS_S: Final = 10.0
YIELDS_AGAIN_S: Final = 0.05


class Rebinding:
    """Binds one tray after the other, when nobody waits for a welcome.

    Args:
        is_busy: whether somebody does.
    """

    def __init__(self, admin: Admin, tasks: Tasks, is_busy: Callable[[], bool]) -> None:
        self._admin = admin
        self._tasks = tasks
        self._is_busy = is_busy
        self._due: dict[str, tuple[Binding, ...]] = {}
        self._running: asyncio.Task[None] | None = None

    def add(self, queue: Queue) -> None:
        """Have a queue bound to all that it should be bound to."""
        self._due[queue.name] = queue.bindings
        if self._running is None or self._running.done():
            self._running = self._tasks.spawn(self._run(), "rebind")

    def drop(self, name: str) -> None:
        """Nobody here needs that queue any more; whoever opens it next binds it."""
        self._due.pop(name, None)

    async def _run(self) -> None:
        now = asyncio.get_running_loop().time
        until = now() + YIELDS_S
        while self._due:
            if self._is_busy() and now() < until:
                await asyncio.sleep(YIELDS_AGAIN_S)
                continue
            name = next(iter(self._due))
            bindings = self._due.pop(name)
            try:
                await self._admin.bind(name, bindings)
            except BROKER_FAULTS as error:
                log.info("not bound again: %s", error)
