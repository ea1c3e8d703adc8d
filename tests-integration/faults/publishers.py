"""Numbered critical alerts, each published until it is confirmed, before the next of its user."""

import asyncio
from collections.abc import Iterable
from random import Random

from faults.audit import Sent
from faults.book import Book
from tapewire.client import EventPublisher, NotConfirmed

DEADLINE_S = 3.0  # shorter than the alarms and restarts that strike: NotConfirmed must happen


class Publisher:
    """One publisher, of alerts for several users at once.

    Args:
        name: stands in the ids of its alerts.
        url: of the broker, or of the ingest.
        every_s: mean time between two alerts for the same user.
    """

    def __init__(
        self, book: Book, name: str, url: str, rng: Random, *, token: str | None, every_s: float
    ) -> None:
        self._book = book
        self.name = name
        self._rng = rng
        self._every_s = every_s
        self._events = EventPublisher(url, token=token, deadline_s=DEADLINE_S, name=name)
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = asyncio.Event()
        self.refused = 0

    async def open(self) -> None:
        """Get ready."""
        await self._events.__aenter__()

    def start(self, users: Iterable[str]) -> None:
        """Begin to publish for these users."""
        self._stopped.clear()
        self._tasks = [asyncio.create_task(self._for(user)) for user in users]

    async def finish(self, deadline_s: float) -> None:
        """Begin no more; return when what was begun is confirmed, or the deadline has passed."""
        self._stopped.set()
        if self._tasks:
            _, waiting = await asyncio.wait(self._tasks, timeout=deadline_s)
            for task in waiting:
                task.cancel()
            for result in await asyncio.gather(*self._tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result
        self._tasks = []

    async def close(self) -> None:
        """Stop at once."""
        await self.finish(0)
        await self._events.__aexit__()

    async def publish(self, user: str) -> str:
        """Publish one alert until it is confirmed; return its id."""
        number = self._book.number(self.name, user)
        id_ = f"{self.name}.{user}.{number}"
        self._book.sending(Sent(id_, user, self.name, number, None))
        await self.send(id_, user)
        self._book.confirmed(id_)
        return id_

    async def send(self, id_: str, user: str, *, level: str = "critical") -> str:
        """Publish one alert until it is confirmed, without a record."""
        event = {
            "type": "risk_alert",
            "id": id_,
            "userId": user,
            "sessionId": "s-1",
            "alertLevel": level,
            "alertType": "loss_limit",
            "message": id_,
            "currentValue": 92,
            "threshold": 90,
        }
        while True:
            try:
                await self._events.publish(event)
                return id_
            except NotConfirmed:
                self.refused += 1  # the same id again: it may have been taken all the same

    async def _for(self, user: str) -> None:
        while not self._stopped.is_set():
            pause_s = self._rng.uniform(0, 2 * self._every_s)
            try:
                async with asyncio.timeout(pause_s):
                    await self._stopped.wait()
            except TimeoutError:
                await self.publish(user)
