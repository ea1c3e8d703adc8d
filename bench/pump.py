"""Keeps a hub busy without letting more pile up than that takes.

A closed loop: a window of batches is under way, and the next is published when every connection has
all of an earlier one. The window is the smallest of ``WINDOWS`` at which the server has no time
left: the broker, the publisher and the generator share the other core, and what goes through them
must not keep it waiting. One rule for all peers; what a server gains from joining batches that wait
is its own, and printed.
"""

import asyncio
from typing import Final, NamedTuple

from bench.crowd import Crowd, Told
from bench.machine import CpuClock
from bench.peers.peer import Hub

WINDOWS: Final = (2, 4, 8, 16)
BUSY: Final = 0.95  # of a core: the server has no time left
WARM_UP_S: Final = 0.5
PROBE_S: Final = 1.0
SETTLED_WITHIN_S: Final = 10.0


class Pumped(NamedTuple):
    """One run.

    Attributes:
        cpu_us: of the server, a delivery.
        busy: load of the server, 0 to 1; ``swarm``: of the generator.
        joined: messages that a connection got by one read.
        window: batches under way.
    """

    per_s: float
    cpu_us: float
    busy: float
    swarm: float
    bytes_each: float
    joined: float
    window: int


async def pump(
    crowd: Crowd, hub: Hub, batch: int, *, runs: int, seconds: float, window: int | None = None
) -> list[Pumped]:
    """Return what ``runs`` runs of ``seconds`` each gave, with the window that saturates."""
    if window is None:
        window = await saturating(crowd, hub, batch)
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
                    window,
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


async def saturating(crowd: Crowd, hub: Hub, batch: int) -> int:
    """Return the smallest window at which the server is busy; of none, the one that comes closest.

    Within two hundredths the smaller counts: a window that adds nothing adds only waiting.
    """
    loads: dict[int, float] = {}
    for window in WINDOWS:
        (run,) = await pump(crowd, hub, batch, runs=1, seconds=PROBE_S, window=window)
        loads[window] = run.busy
        if run.busy >= BUSY:
            return window
    return next(window for window in WINDOWS if loads[window] >= max(loads.values()) - 0.02)


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
