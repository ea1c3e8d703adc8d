"""Links to a fresh vhost on each broker version, with the fleet's topology declared."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiormq.abc import AbstractChannel

from tapewire.broker import Link, Publisher, Role, declare
from tapewire.broker.topology import FLEET
from tapewire.fleet.cable import Cable


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
    cable = Cable(any_broker_url)
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
