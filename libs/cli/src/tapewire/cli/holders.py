"""What edges have on screens, unacknowledged: they are asked over `tw.relay`, and tell."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from aiormq import spec
from aiormq.abc import AbstractConnection, DeliveredMessage

from tapewire.broker.topology import RELAY
from tapewire.cli.inboxes import Alert, Inbox, raised_at
from tapewire.contracts import new_id

ANSWERS_WITHIN_S: Final = 2.0
QUIET_S: Final = 0.3


async def ask_holders(connection: AbstractConnection, inboxes: Sequence[Inbox]) -> None:
    """Have the edges tell what they hold of these inboxes, and note it in them."""
    answers = _Answers(one for one in inboxes if one.consumers)
    if answers.complete.is_set():
        return
    channel = await connection.channel()
    await channel.queue_declare(answers.to, exclusive=True)
    await channel.queue_bind(answers.to, RELAY, routing_key="*.copy")
    await channel.basic_consume(answers.to, answers.hear, no_ack=True)
    for queue in answers.asked:
        headers: Any = {"node": answers.to, "trays": queue}
        await channel.basic_publish(
            b"",
            exchange=RELAY,
            routing_key=f"{queue.split('.')[1]}.asked",
            properties=spec.Basic.Properties(delivery_mode=1, headers=headers),
        )
    await answers.wait()
    await channel.close()
    for one in answers.asked.values():
        one.oldest = one.shown[0].at if one.shown else None


class _Answers:
    """What edges say that they hold, noted in the inboxes that were asked for.

    Attributes:
        to: the name under which it is asked, and of the queue that hears the answers.
        complete: the holder of each has answered.
    """

    def __init__(self, inboxes: Iterable[Inbox]) -> None:
        self.to = f"inspector.{new_id()}"
        self.asked = {one.queue: one for one in inboxes}
        self.complete = asyncio.Event()
        self._news = asyncio.Event()
        for one in self.asked.values():
            one.unacked = None
        self._look()

    async def wait(self) -> None:
        """Wait for the holders. Who consumes an empty inbox holds nothing, and says so.

        Which of several edges the broker has chosen none of them knows. So where all that answered
        hold nothing, this waits a moment for another.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + ANSWERS_WITHIN_S
        while not self.complete.is_set() and loop.time() < until:
            silent = any(one.unacked is None for one in self.asked.values())
            self._news.clear()
            try:
                async with asyncio.timeout(until - loop.time() if silent else QUIET_S):
                    await self._news.wait()
            except TimeoutError:
                return

    async def hear(self, message: DeliveredMessage) -> None:
        """Take a relay; those of edges among each other are none of ours."""
        headers: Mapping[str, Any] = message.header.properties.headers or {}
        one = self.asked.get(str(headers.get("trays")))
        if one is None or headers.get("to") != self.to:
            return
        if headers.get("end"):
            self._end(one, headers)
        else:
            one.shown.append(_copy(message, headers))

    def _end(self, one: Inbox, headers: Mapping[str, Any]) -> None:
        if headers.get("holder"):
            one.holder = str(headers["node"])
        one.unacked = len(one.shown)
        self._news.set()
        self._look()

    def _look(self) -> None:
        if all(one.holder for one in self.asked.values()):
            self.complete.set()


def _copy(message: DeliveredMessage, headers: Mapping[str, Any]) -> Alert:
    """What an edge holds, as it relays it."""
    return Alert(
        id=str(headers.get("id")),
        type=message.header.properties.message_type or "",
        routing_key=str(headers.get("key")),
        body=message.body,
        shown=True,
        redelivered=bool(headers.get("re")),
        at=raised_at(message.body, None),
    )
