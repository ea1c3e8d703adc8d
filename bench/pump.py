"""Keeps a hub busy without letting more pile up than that takes.

A closed loop: a window of batches is under way, and the next is published when every connection has
all of an earlier one. A window of one is a batch by itself, which nothing waits beside; of eight,
eight producers at once: what a server gains from joining batches that wait is its own, and printed.
"""

import asyncio
from typing import Final, NamedTuple

from bench.crowd import Crowd, Told
from bench.machine import CpuClock
from bench.peers.peer import Hub

WARM_UP_S: Final = 0.5
SETTLED_WITHIN_S: Final = 10.0


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
    """Return what ``runs`` runs of ``seconds`` each gave, with ``window`` batches under way."""
    await crowd.reset()
    clients = (await crowd.tell()).clients
    await crowd.credit_every(clients * batch)
    for _ in range(window):
        await hub.publish(batch)
    pumping = asyncio.create_task(_pump(crowd, hub, batch))
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
        pumping.cancel()
        await asyncio.gather(pumping, return_exceptions=True)
    told = await _settled(crowd)
    if told.least != told.most:
        raise RuntimeError(f"some got {told.least} messages, others {told.most}")
    return found


async def _pump(crowd: Crowd, hub: Hub, batch: int) -> None:
    while True:
        await crowd.credit()
        await hub.publish(batch)


async def _settled(crowd: Crowd) -> Told:
    """Return what was counted once nothing more comes, and everybody has the same; or at last."""
    told = await crowd.tell()
    loop = asyncio.get_running_loop()
    until = loop.time() + SETTLED_WITHIN_S
    while True:
        await asyncio.sleep(0.2)
        now = await crowd.tell()
        if now.total == told.total and (now.least == now.most or loop.time() > until):
            return now
        told = now
