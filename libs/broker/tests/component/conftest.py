"""Links to a fresh vhost on each broker version, with the fleet's topology declared."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
from aiormq.abc import AbstractChannel
from yarl import URL

from tapewire.broker import Link, Publisher, Role, declare
from tapewire.broker.topology import FLEET


class Cable:
    """A TCP relay in front of the broker that can be cut."""

    def __init__(self, broker: URL) -> None:
        self._broker = broker
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.latency_s = 0.0

    async def start(self) -> str:
        """Return the broker's URL through the relay."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return str(self._broker.with_host("127.0.0.1").with_port(port))

    def cut(self) -> None:
        """Break every connection at once, without a goodbye."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._broker.host, self._broker.port)
        self._writers |= {writer, far_writer}
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                await asyncio.sleep(self.latency_s)
                sink.write(data)
        sink.close()


@dataclass
class Bench:
    """A vhost with the topology, a link for each role, and a look into queues."""

    cable: Cable
    publish: Link
    consume: Link
    topology: Link
    publisher: Publisher

    async def depth(self, queue: str) -> int:
        """Return how many messages wait in ``queue``."""
        channel: AbstractChannel = await self.topology.channel(timeout_s=10)
        try:
            declared = await channel.queue_declare(queue, passive=True)
            return declared.message_count or 0
        finally:
            if not channel.is_closed:
                await channel.close()


@pytest.fixture
async def bench(any_broker_url: str) -> AsyncIterator[Bench]:
    cable = Cable(URL(any_broker_url))
    url = await cable.start()
    links = {role: Link(url, role, name="test") for role in Role}
    for link in links.values():
        await link.start()
    await declare(links[Role.TOPOLOGY], FLEET)
    yield Bench(
        cable,
        links[Role.PUBLISH],
        links[Role.CONSUME],
        links[Role.TOPOLOGY],
        Publisher(links[Role.PUBLISH]),
    )
    for link in links.values():
        await link.close()
    await cable.stop()
