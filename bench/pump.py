"""Keeps a hub busy without letting more pile up than that takes.

A closed loop: a window of batches is under way, and the next is published when every connection has
all of an earlier one. A window of one is a batch by itself, which nothing waits beside; of eight,
eight producers at once: what a server gains from joining batches that wait is its own, and printed.
"""

import asyncio
from typing import Final, NamedTuple

from bench.crowd import Crowd
from bench.machine import CpuClock
from bench.peers.peer import Hub

WARM_UP_S: Final = 0.5
SILENT_S: Final = 30.0  # a server that still owes messages and sends none so long has lost them


class Pumped(NamedTuple):
    """One run.

    Attributes:
        cpu_us: of the server, a delivery.
        busy: load of the server, 0 to 1; ``swarm``: of the generator.
        joined: messages that a connection got by one read.
    """

    per_s: float
    cpu_us: float
    busy: float
    swarm: float
    bytes_each: float
    joined: float


async def pump(
    crowd: Crowd, hub: Hub, batch: int, *, runs: int, seconds: float, window: int
) -> list[Pumped]:
    """Return what ``runs`` runs of ``seconds`` each gave, with ``window`` batches under way.

    Raises:
        RuntimeError: connections were lost, or did not all get every message.
    """
    await crowd.reset()
    clients = (await crowd.tell()).clients
    await crowd.credit_every(clients * batch)
    producer = _Producer(crowd, hub, batch)
    for _ in range(window):
        await producer.publish()
    pumping = asyncio.create_task(producer.run())
    found: list[Pumped] = []
    try:
        await asyncio.sleep(WARM_UP_S)
        clock = CpuClock(hub.pid)
        before = await crowd.tell()
        for _ in range(runs):
            clock.lap()
            await asyncio.sleep(seconds)
            cpu_s, wall_s = clock.lap()
            now = await crowd.tell()
            if pumping.done():
                await pumping
            if now.lost or now.clients != clients:
                raise RuntimeError(f"{now.lost} of {clients} connections were lost")
            count, took_s = now.total - before.total, now.at - before.at
            if not count:
                raise RuntimeError(f"nothing came in {seconds} s")
            found.append(
                Pumped(
                    count / took_s,
                    1e6 * cpu_s / count,
                    cpu_s / wall_s,
                    (now.cpu_s - before.cpu_s) / took_s,
                    (now.bytes - before.bytes) / count,
                    count / max(1, now.receives - before.receives),
                )
            )
            before = now
    finally:
        async with producer.publishing:
            pumping.cancel()
        await asyncio.gather(pumping, return_exceptions=True)
    await _all_have(crowd, producer.published)
    return found


class _Producer:
    """Publishes a batch for each that everybody has.

    Attributes:
        published: messages handed over.
        publishing: held while a batch is on its way to the server, which is counted once it is.
    """

    def __init__(self, crowd: Crowd, hub: Hub, batch: int) -> None:
        self.published = 0
        self.publishing = asyncio.Lock()
        self._crowd = crowd
        self._hub = hub
        self._batch = batch

    async def publish(self) -> None:
        async with self.publishing:
            await self._hub.publish(self._batch)
            self.published += self._batch

    async def run(self) -> None:
        while True:
            await self._crowd.credit()
            await self.publish()


async def _all_have(crowd: Crowd, published: int) -> None:
    """Return once every connection has so many messages.

    A slow server is given the time that it takes: what it still owed would come under the next run.
    """
    loop = asyncio.get_running_loop()
    told = await crowd.tell()
    until = loop.time() + SILENT_S
    while not told.least == told.most == published:
        await asyncio.sleep(0.05)
        now = await crowd.tell()
        if now.total != told.total:
            until = loop.time() + SILENT_S
        elif loop.time() > until:
            raise RuntimeError(f"of {published} messages some got {now.least}, others {now.most}")
        told = now
