"""Every fault, as values: what it strikes, how often in a round, what it needs."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass
from random import Random
from resource import RLIMIT_FSIZE
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import Any

from engines.fleet import EDGES

from faults import clocks, cluster_strikes, databases
from faults.devices import open_socket
from faults.target import Absent
from faults.world import World

PUBLISH, DECLARE, ACK = (
    # A method frame: kind, channel, size, class and method. A declaration is declare or bind.
    re.compile(rb"\x01..\x00\x00.." + method, re.DOTALL)
    for method in (rb"\x00\x3c\x00\x28", rb"\x00\x32\x00[\x0a\x14]", rb"\x00\x3c\x00\x50")
)
PASSES_WITHIN_S = 10.0

Strike = Callable[[World, Random, Any], Awaitable[object]]
Setting = Callable[[World], AbstractAsyncContextManager[Any]]

SERVICES = (*EDGES, "ingest", "risk", "market", "desk")
ROLLING = ("ingest", "desk", "edge-1", "risk", "market", "edge-2")

MEMORY_ALARM = "vm_memory_monitor:set_vm_memory_high_watermark({})"
DISK_ALARM = "rabbit_disk_monitor:set_disk_free_limit({})"


@dataclass(frozen=True)
class Fault:
    """A way to hurt a fleet.

    Attributes:
        strike: hurts once, and mends what does not mend itself; gets what `setting` yields.
        times: strikes in a round.
        apart_s: longest random wait before each.
        setting: what is arranged around the round.
    """

    name: str
    strike: Strike
    times: int = 4
    apart_s: float = 3.0
    setting: Setting = lambda world: nullcontext()


def _signal(number: int, *nodes: str) -> Strike:
    async def strike(world: World, rng: Random, _: Any) -> None:
        node = rng.choice(nodes)
        await world.fleet.kill(node, number)
        if number != SIGKILL:  # a drain takes its time; the next strike finds it back
            await asyncio.sleep(1.0)
        if node in SERVICES:
            await world.fleet.until_ready(node, timeout_s=60)

    return strike


async def _restart_all(world: World, rng: Random, _: Any) -> None:
    for node in ROLLING:
        await world.fleet.restart(node)


async def _stop_edge(world: World, rng: Random, seconds: float) -> None:
    edge = rng.choice(EDGES)
    await world.fleet.kill(edge, SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        await world.fleet.kill(edge, SIGCONT)


async def _broker_restarts(world: World, rng: Random, number: int) -> None:
    await world.fleet.kill("rabbitmq", number)
    await world.broker_back()


async def _cut(world: World, rng: Random, cables: list) -> None:
    rng.choice(cables).cut()


def _cut_amid(frame: re.Pattern[bytes]) -> Strike:
    """Cut one service's connections when it sends such a frame: in it, or before its answer."""

    async def strike(world: World, rng: Random, cables: list) -> None:
        whole = rng.random() < 0.5
        newcomer = asyncio.create_task(world.newcomer(rng, alerts=3))  # has something declared
        try:
            for cable in rng.sample(cables, len(cables)):
                with suppress(TimeoutError):
                    await cable.cut_at(frame, whole=whole, within_s=PASSES_WITHIN_S)
                    return
            raise Absent(f"no service sent {frame.pattern!r}")
        finally:
            await newcomer

    return strike


async def _unplug(world: World, rng: Random, cables: list) -> None:
    cable = rng.choice(cables)
    cable.pull_out()
    await asyncio.sleep(rng.uniform(0.5, 3.0))
    cable.plug_in()


@asynccontextmanager
async def _broker_cables(world: World) -> AsyncIterator[list]:
    async with world.target.behind_cable(*EDGES, "ingest", "desk", "risk") as cables:
        yield [*cables, world.producers_cable]


async def _cut_sockets(world: World, rng: Random, _: Any) -> None:
    rng.choice(world.client_cables).cut()


async def _half_open(world: World, rng: Random, _: Any) -> None:
    rng.choice(world.client_cables).freeze()


def _alarm(setting: str, on: str, off: str) -> Strike:
    async def strike(world: World, rng: Random, _: Any) -> None:
        await world.target.eval(setting.format(on))
        try:
            await asyncio.sleep(rng.uniform(1.0, 5.0))
        finally:
            await world.target.eval(setting.format(off))

    return strike


async def _newcomer(world: World, rng: Random, _: Any) -> None:
    await world.newcomer(rng, alerts=40)


async def _flap(world: World, rng: Random, _: Any) -> None:
    await world.flapper(rng, alerts=100)


async def _kill_clients(world: World, rng: Random, _: Any) -> None:
    rng.choice(world.processes).kill()


async def _redeliver(world: World, rng: Random, _: Any) -> None:
    """Take one alert 200 times without an ack; the device of that user is away meanwhile."""
    user = world.loner.device.user
    wanted = await world.publishers[0].publish(user)
    for _try in range(200):
        url = rng.choice(world.loner.urls)
        socket = await open_socket(url, world.fleet.token(user))
        try:
            async with asyncio.timeout(20):
                async for text in socket:
                    if wanted in text:
                        break
        except TimeoutError:
            return  # gone: the audit will say so
        finally:
            socket.transport.abort()


@asynccontextmanager
async def _full_disk(world: World) -> AsyncIterator[list]:
    """No file of desk or risk can grow, as on a full disk (EFBIG in place of ENOSPC)."""
    yield ["desk", "risk"]
    for node in ("desk", "risk"):
        await world.fleet.restart(node)


async def _fill_disk(world: World, rng: Random, nodes: list) -> None:
    process = world.target.process(rng.choice(nodes))
    before = process.rlimit(RLIMIT_FSIZE)
    process.rlimit(RLIMIT_FSIZE, (4096, before[1]))
    await asyncio.sleep(rng.uniform(1.0, 4.0))
    if process.is_running():
        process.rlimit(RLIMIT_FSIZE, before)


def _value(value: Any) -> Setting:
    return lambda world: nullcontext(value)


FAULTS = (
    Fault("none", lambda *_: asyncio.sleep(0), times=1),
    *(Fault(f"{node} kill -9", _signal(SIGKILL, node)) for node in ("ingest", "desk")),
    Fault("edge kill -9", _signal(SIGKILL, *EDGES), times=6),
    Fault("edge SIGTERM", _signal(SIGTERM, *EDGES)),
    Fault("ingest SIGTERM", _signal(SIGTERM, "ingest")),
    Fault("desk SIGTERM", _signal(SIGTERM, "desk")),
    Fault("risk or market kill -9", _signal(SIGKILL, "risk", "market")),
    Fault("risk or market SIGTERM", _signal(SIGTERM, "risk", "market"), times=2),
    Fault("any kill -9", _signal(SIGKILL, *SERVICES), times=8, apart_s=1.0),
    Fault("broker connections cut", _cut, times=16, apart_s=1.0, setting=_broker_cables),
    *(
        Fault(f"broker cut mid-{amid}", _cut_amid(frame), times=8, setting=_broker_cables)
        for amid, frame in (("publish", PUBLISH), ("declare", DECLARE), ("ack", ACK))
    ),
    Fault("broker out of reach", _unplug, times=5, apart_s=2.0, setting=_broker_cables),
    Fault("broker restarted", _broker_restarts, times=2, setting=_value(SIGTERM)),
    Fault("broker kill -9", _broker_restarts, times=2, setting=_value(SIGKILL)),
    Fault("memory alarm", _alarm(MEMORY_ALARM, "0.00001", "0.4"), times=3),
    Fault("disk alarm", _alarm(DISK_ALARM, "1000000000000000", "50000000"), times=2),
    Fault("edge SIGSTOP 5 s", _stop_edge, times=3, setting=_value(5.0)),
    Fault("edge SIGSTOP 60 s", _stop_edge, times=1, setting=_value(60.0)),
    Fault("client sockets cut", _cut_sockets, times=12, apart_s=1.0),
    Fault("client sockets half-open", _half_open, times=3, apart_s=4.0),
    Fault("client process kill -9", _kill_clients, times=8, apart_s=1.5),
    Fault("reconnecting every 50 ms", _flap, times=4, apart_s=0.2),
    Fault("users never seen", _newcomer, times=8, apart_s=0.2),
    Fault("200 redeliveries", _redeliver, times=1),
    Fault("disk full", _fill_disk, times=3, setting=_full_disk),
    Fault("PostgreSQL restarted", databases.strike, setting=databases.under_desk_and_risk),
    Fault("clock steps", clocks.strike, times=8, apart_s=1.0, setting=clocks.stepping),
    Fault("rolling restart", _restart_all, times=1),
)

CLUSTER_FAULTS = (
    Fault("none", lambda *_: asyncio.sleep(0), times=1),
    Fault("cluster node kill -9", cluster_strikes.strike_node, times=2),
    Fault("cluster leader kill -9", cluster_strikes.strike_leader, times=2),
    Fault("cluster trays out of reach", cluster_strikes.strike_trays, times=2),
    Fault("cluster partition", cluster_strikes.strike_apart, times=3),
    Fault("client sockets cut", _cut_sockets, times=6, apart_s=1.0),
)

MEDLEY = (
    ("edge kill -9", "client sockets cut", "users never seen"),
    ("ingest kill -9", "risk or market kill -9", "reconnecting every 50 ms"),
    ("edge SIGTERM", "desk SIGTERM", "client process kill -9"),
    ("memory alarm",),
    ("broker kill -9", "client sockets cut"),
)
"""One fault of most kinds; those of a line strike together."""


async def _several(world: World, rng: Random, _: Any) -> None:
    for names in MEDLEY:
        await asyncio.gather(*(_once(world, rng, named(name)) for name in names))


async def _once(world: World, rng: Random, fault: Fault) -> None:
    async with fault.setting(world) as setting:
        await fault.strike(world, rng, setting)


SHORT = Fault("one of most kinds", _several, times=1)


def named(name: str) -> Fault:
    """Return a fault by its name.

    Raises:
        Absent: there is none.
    """
    for fault in (*FAULTS, *CLUSTER_FAULTS, SHORT):
        if fault.name == name:
            return fault
    raise Absent(f"no such fault: {name!r}")
