"""Whether another edge is there."""

import asyncio
from typing import Final

from aiormq import spec
from aiormq.exceptions import ChannelNotFoundEntity

from tapewire.broker import CONNECTION_ERRORS, BrokerError
from tapewire.edge.runtime.admin import Admin
from tapewire.edge.runtime.tasks import Tasks

LOOK_FIRST_AFTER_S: Final = 0.01
LOOK_EVERY_S: Final = 0.1


class Presence:
    """Asks the broker for other edges' own queues, which go when their connections do.

    An edge that was killed says nothing any more; one that is slow will. Which of the two it is no
    deadline can tell, but the broker can: while the queue is there, its edge is.
    """

    def __init__(self, admin: Admin, tasks: Tasks) -> None:
        self._admin = admin
        self._tasks = tasks
        self._asking: dict[str, asyncio.Task[bool]] = {}

    async def has(self, queue: str) -> bool:
        """Return whether another connection's own queue is there; True where nobody can tell."""
        asking = self._asking.get(queue)  # thousands of trays may have had the same holder
        if asking is None:
            asking = self._asking[queue] = self._tasks.spawn(self._ask(queue), "look for an edge")
            asking.add_done_callback(lambda _: self._asking.pop(queue, None))
        return await asyncio.shield(asking)

    async def _ask(self, queue: str) -> bool:
        try:
            async with self._admin.tap() as tap:
                await tap.ask(spec.Queue.Declare(queue=queue, passive=True))
        except ChannelNotFoundEntity:
            return False
        except (*CONNECTION_ERRORS, BrokerError):  # RESOURCE_LOCKED above all: it is another's
            return True
        return True
