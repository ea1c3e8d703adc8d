"""Keeps a hub busy without letting anything pile up.

A closed loop: ``WINDOW`` batches are under way, and the next is published when every connection has
all of an earlier one. Two, so that the next is there when one is done, and so that no more than one
waits: what a server gains from joining messages that pile up is not measured by accident.
"""

import asyncio
from typing import Final, NamedTuple

from bench.crowd import Crowd, Told
from bench.machine import CpuClock
from bench.peers.peer import Hub

WINDOW: Final = 2
WARM_UP_S: Final = 1.0


class Pumped(NamedTuple):
    """One run. ``cpu_us``: of the server, a delivery; ``busy``, ``swarm``: loads, 0 to 1."""

    per_s: float
    cpu_us: float
    busy: float
    swarm: float
    bytes_each: float


async def pump(
    crowd: Crowd, hub: Hub, batch: int, *, runs: int, seconds: float, window: int = WINDOW
) -> list[Pumped]:
    """Return what ``runs`` runs of ``seconds`` each gave."""
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
    """Return what was counted once nothing more comes."""
    told = await crowd.tell()
    while True:
        await asyncio.sleep(0.5)
        if (now := await crowd.tell()).total == told.total:
            return now
        told = now
