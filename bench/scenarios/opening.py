"""Opening connections: handshakes, and returning users with their mailboxes.

A connection opens with a verified JWT. "Handshake alone": its user is connected already, so that
nothing is asked of the broker. "Returning": the user's inbox and recent tray exist and nobody is
attached to them, which is what every user finds after a restart.
"""

import asyncio
from typing import Final

from bench.crowd import Crowd, Opened
from bench.figures import Figure, Goal, at_least, at_most, percentile
from bench.machine import CpuClock
from bench.peers import tapewire
from bench.scenarios.scenario import Options, Scenario
from bench.servers import broker, vhost

IN_FLIGHT: Final = 64  # handshakes under way at once, below what a listening socket queues
USERS: Final = 200


def rates(name: str, clock: list[float], cpu_us: list[float], goal: Goal) -> list[Figure]:
    """Return connections a second of the edge's CPU, which has the goal, and by the clock.

    By the clock the broker counts too, which shares a core with the generator.
    """
    each = round(sorted(cpu_us)[len(cpu_us) // 2])
    return [
        Figure(name, "1/s/core", tuple(1e6 / us for us in cpu_us), goal, {"cpu_us_each": each}),
        Figure(f"{name}: by the clock", "1/s", tuple(clock)),
    ]


def p99_ms(opened: Opened) -> float:
    """Return the 99th percentile of the times to the last step, ms."""
    return 1000 * percentile(opened.of_step(-1), 0.99)


async def handshakes(options: Options) -> list[Figure]:
    """Open further connections of users who are connected."""
    clock_rates: list[float] = []
    cpu: list[float] = []
    slowest: list[float] = []
    async with tapewire.edge([]) as hub, Crowd() as first:
        await first.open(hub.port, [tapewire.script(f"u-{n}", []) for n in range(USERS)])
        scripts = [tapewire.script(f"u-{n % USERS}", []) for n in range(USERS * 19)]
        clock = CpuClock(hub.pid)
        for _ in range(options.runs):
            async with Crowd() as crowd:
                clock.lap()
                opened = await crowd.open(hub.port, scripts, in_flight=IN_FLIGHT)
                cpu_s, _ = clock.lap()
                if opened.failed:
                    raise RuntimeError(f"{opened.failed} connections failed")
                clock_rates.append(opened.count / opened.seconds)
                cpu.append(1e6 * cpu_s / opened.count)
                slowest.append(p99_ms(opened))
            await asyncio.sleep(1.0)  # the closes are work of their own
    name = "connections opened, handshake alone"
    return [
        *rates(name, clock_rates, cpu, at_least(1500)),
        Figure(f"{name}: p99", "ms", tuple(slowest)),
    ]


async def returning(options: Options) -> list[Figure]:
    """Open connections of users whose trays wait for them."""
    users = 500 if options.quick else 2000
    clock_rates: list[float] = []
    cpu: list[float] = []
    slowest: list[float] = []
    scripts = [tapewire.script(f"r-{n}", []) for n in range(users)]
    with broker() as node:
        amqp = vhost(node)
        async with tapewire.edge([], amqp) as hub, Crowd() as crowd:
            await crowd.open(hub.port, scripts)  # their first time: the trays are declared
        for _ in range(options.runs):
            async with tapewire.edge([], amqp) as hub, Crowd() as crowd:
                clock = CpuClock(hub.pid)
                opened = await crowd.open(hub.port, scripts, in_flight=IN_FLIGHT)
                cpu_s, _ = clock.lap()
                if opened.failed:
                    raise RuntimeError(f"{opened.failed} connections failed")
                clock_rates.append(opened.count / opened.seconds)
                cpu.append(1e6 * cpu_s / opened.count)
                slowest.append(p99_ms(opened))
    name = "connections opened, returning users to welcome"
    notes = {"users": users, "in_flight": IN_FLIGHT}
    return [
        *rates(name, clock_rates, cpu, at_least(1000)),
        Figure(f"{name}: p99", "ms", tuple(slowest), at_most(500), notes),
    ]


HANDSHAKES: Final = Scenario("handshakes", "full", handshakes)
RETURNING: Final = Scenario("returning", "full", returning)
