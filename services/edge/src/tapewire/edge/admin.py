"""AMQP channels for declaring, binding and looking, a few at a time.

Each is lent to one task at a time: a refusal closes the channel that asked (rule 5 of
``delivery.md``), and must not take another user's question with it. How many there are is how many
users are attached at once after a restart.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelNotFoundEntity

from tapewire.broker import Link
from tapewire.broker.topology import Binding, Queue


class Found(NamedTuple):
    """What a look at a queue tells."""

    messages: int
    consumers: int
    was_absent: bool = False


class Admin:
    """A pool of AMQP channels on a link of role ``topology``."""

    def __init__(self, link: Link, size: int) -> None:
        self._link = link
        self._idle: list[AbstractChannel] = []
        self._free = asyncio.Semaphore(size)

    @asynccontextmanager
    async def channel(self) -> AsyncGenerator[AbstractChannel]:
        """Lend a channel. Run only in a task that nobody cancels."""
        async with self._free:
            channel: AbstractChannel | None = None
            while self._idle and (channel is None or channel.is_closed):
                channel = self._idle.pop()
            if channel is None or channel.is_closed:
                channel = await self._link.channel()
            try:
                yield channel
            finally:
                if not channel.is_closed:
                    self._idle.append(channel)

    async def look(self, queue: Queue) -> Found | None:
        """Return what is in ``queue``, or None when there is no such queue."""
        async with self.channel() as channel:
            try:
                told = await channel.queue_declare(queue.name, passive=True)
            except ChannelNotFoundEntity:
                return None
        return Found(told.message_count or 0, told.consumer_count or 0)

    async def open(self, queue: Queue) -> Found:
        """Return what is in ``queue``; declare and bind it when it is absent."""
        found = await self.look(queue)
        if found is not None:
            return found
        async with self.channel() as channel:
            told = await channel.queue_declare(
                queue.name, durable=queue.durable, arguments=dict(queue.arguments)
            )
            for binding in queue.bindings:
                await channel.queue_bind(queue.name, binding.source, binding.routing_key)
        return Found(told.message_count or 0, told.consumer_count or 0, was_absent=True)

    async def bind(self, queue: str, bindings: tuple[Binding, ...]) -> None:
        """Bind; what is bound already stays so."""
        async with self.channel() as channel:
            for binding in bindings:
                await channel.queue_bind(queue, binding.source, binding.routing_key)

    async def unbind(self, queue: str, bindings: tuple[Binding, ...]) -> None:
        """Unbind; what is not bound stays so."""
        async with self.channel() as channel:
            for binding in bindings:
                await channel.queue_unbind(queue, binding.source, binding.routing_key)
