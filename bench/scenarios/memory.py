"""What an idle connection costs in resident memory: 10,000 of them on one worker."""

import asyncio
from typing import Final

from bench.crowd import Crowd
from bench.figures import Figure, at_least, at_most
from bench.machine import CpuClock, resident_bytes
from bench.peers import tapewire
from bench.scenarios.scenario import Options, Scenario

CONNECTIONS: Final = 10_000
GB: Final = 2**30
# The edge's heartbeat of each connection (30 s) and the clients' own sign of life (12 s) fall into
# it as often as they do on average: a shorter look finds all of them or none (2.8 % or 0.4 %).
LOOK_S: Final = 60.0


async def run(options: Options) -> list[Figure]:
    """Open them, wait until the edge is at rest, and look."""
    count = 2000 if options.quick else CONNECTIONS
    each: list[float] = []
    idle: list[float] = []
    for _ in range(1 if options.quick else min(options.runs, 3)):
        async with tapewire.edge([]) as hub, Crowd() as crowd:
            # One of each user first, so that what is measured is connections, not mailboxes.
            users = count // tapewire.PER_USER
            await crowd.open(hub.port, [tapewire.script(f"u-{n}", []) for n in range(users)])
            await asyncio.sleep(1.0)
            before = resident_bytes(hub.pid)
            others = users * (tapewire.PER_USER - 1)
            more = [tapewire.script(f"u-{n % users}", []) for n in range(others)]
            opened = await crowd.open(hub.port, more)
            await asyncio.sleep(2.0)
            each.append((resident_bytes(hub.pid) - before) / opened.count)
            clock = CpuClock(hub.pid)
            await asyncio.sleep(LOOK_S)
            cpu_s, wall_s = clock.lap()
            idle.append(100 * cpu_s / wall_s)
    return [
        Figure("memory of an idle connection", "KB", tuple(e / 1024 for e in each), at_most(25)),
        Figure("idle connections per GB", "", tuple(GB / e for e in each), at_least(40_000)),
        Figure(f"CPU of {count} idle connections", "%", tuple(idle)),
    ]


MEMORY: Final = Scenario("memory", "full", run)
