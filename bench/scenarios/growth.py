"""How cost grows: with connections, symbols, users with inboxes, workers. Draws a plot of each.

Five minutes. Each point is kept and drawn as soon as it is measured, so a run that is cut short
leaves what it has.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import psutil

from bench import machine, plots, report
from bench.crowd import Crowd
from bench.figures import Figure
from bench.machine import CORES, resident_bytes
from bench.peers import tapewire
from bench.peers.peer import Hub
from bench.pump import Pumped, pump
from bench.scenarios.scenario import Options, Scenario
from bench.servers import beam, broker, vhost

CONNECTIONS: Final = (100, 300, 1000, 3000, 10_000)
RUNS: Final = 2
SECONDS: Final = 1.0
WINDOW: Final = 4  # batches under way
SYMBOLS: Final = (1, 5, 20, 100)
USERS: Final = (100, 500, 1000, 2000, 5000)
PER_CORE: Final = "deliveries/s/core"  # in a second of the server's CPU time
OPEN_S: Final = 300.0  # for the largest step on a busy machine

Put = Callable[[str, str, int, float], None]
"""Keeps a point: name of the curve, unit, x, y."""


def row(name: str, unit: str, values: dict[int, float], **more: Any) -> Figure:
    """Return one curve as a figure: its points are notes."""
    points = {str(x): round(y, 3) for x, y in values.items()}
    last = list(values.values())[-1]
    return Figure(name, unit, (last,), notes={"points": points, **more})


async def run(options: Options) -> list[Figure]:
    """Measure the curves, one after the other."""
    curves: dict[tuple[str, str], dict[int, float]] = {}
    described = machine.describe()
    began = time.monotonic()

    def found() -> list[Figure]:
        return [row(f"growth, {name}", unit, values) for (name, unit), values in curves.items()]

    def put(name: str, unit: str, x: int, y: float) -> None:
        curves.setdefault((name, unit), {})[x] = y
        print(
            f"  {time.monotonic() - began:4.0f} s  {name}: {x:,} → {y:,.1f} {unit}",
            file=sys.stderr,
            flush=True,
        )
        if options.keep:
            report.keep("growth", found(), described)
            plots.draw(found())

    with broker() as node:
        for part in (connections, symbols, workers):
            await part(options, vhost(node), put)
    await users(options, put)
    return found()


async def connections(options: Options, amqp: str, put: Put) -> None:
    """Measure deliveries and memory against connections."""
    for count in CONNECTIONS[:2] if options.quick else CONNECTIONS:
        async with tapewire.broadcasting(amqp) as hub, Crowd() as crowd:
            empty = resident_bytes(hub.pid)
            await crowd.open(hub.port, hub.scripts(count), deadline_s=OPEN_S)
            await asyncio.sleep(1.0)
            memory = resident_bytes(hub.pid) - empty
            put("connections: memory", "MB", count, memory / 2**20)
            put("connections: one at a time", PER_CORE, count, await _per_core(crowd, hub, 1))
            put("connections: batches of 5", PER_CORE, count, await _per_core(crowd, hub, 5))


async def symbols(options: Options, amqp: str, put: Put) -> None:
    """Measure deliveries against the symbols of a bundle that each of 1000 connections hears."""
    for count in SYMBOLS[:2] if options.quick else SYMBOLS:
        names = tapewire.symbols(count, one_shard=True)
        channels = [f"market:{name}" for name in names]
        limit = {"TAPEWIRE_EDGE_CHANNELS": "2000"}
        async with tapewire.edge(channels, amqp, **limit) as hub, Crowd() as crowd:
            await crowd.open(hub.port, hub.scripts(options.connections))
            hub.publish = lambda messages, hub=hub, names=names: hub.bundle(names)  # type: ignore[method-assign]
            put("symbols of a bundle", PER_CORE, count, await _per_core(crowd, hub, count))


async def workers(options: Options, amqp: str, put: Put) -> None:
    """Measure deliveries of 1 and 2 workers; the second shares its core with all the rest."""
    channels = [f"market:{symbol}" for symbol in tapewire.symbols(5, one_shard=True)]
    for count in (1, 2):
        cores = CORES[:1] if count == 1 else CORES
        async with (
            tapewire.edge(channels, amqp, workers=count, cores=cores) as hub,
            Crowd() as crowd,
        ):
            await crowd.open(hub.port, hub.scripts(options.connections))
            runs = await _pumped(crowd, hub, 5)
            by_clock = statistics.median(run.per_s for run in runs)
            put("workers: by the clock", "deliveries/s", count, by_clock)
            put("workers: by CPU", PER_CORE, count, statistics.median(1e6 / r.cpu_us for r in runs))


async def users(options: Options, put: Put) -> None:
    """Measure memory and the rate of first openings against users, each with trays of their own.

    On a broker of its own, whose memory grows with nothing else.
    """
    with broker() as node:
        erlang = psutil.Process(beam(node))
        async with (
            tapewire.edge([], vhost(node), TAPEWIRE_INBOX_QUEUE_TYPE="quorum") as hub,
            Crowd() as crowd,
        ):
            empty, empty_broker = resident_bytes(hub.pid), erlang.memory_info().rss
            before = 0
            for count in USERS[:2] if options.quick else USERS:
                scripts = [tapewire.script(f"g-{n}", []) for n in range(before, count)]
                opened = await crowd.open(hub.port, scripts, in_flight=32, deadline_s=OPEN_S)
                if opened.failed:
                    raise RuntimeError(f"{opened.failed} of {count} users were not welcomed")
                await asyncio.sleep(1.0)
                memory = resident_bytes(hub.pid) - empty
                broker_memory = erlang.memory_info().rss - empty_broker
                put("users: first openings", "1/s", count, opened.count / opened.seconds)
                put("users: memory of the edge", "MB", count, memory / 2**20)
                put("users: memory of the broker", "MB", count, broker_memory / 2**20)
                before = count


async def _per_core(crowd: Crowd, hub: Hub, batch: int) -> float:
    """Return deliveries in a second of the server's CPU time."""
    return statistics.median(1e6 / run.cpu_us for run in await _pumped(crowd, hub, batch))


async def _pumped(crowd: Crowd, hub: Hub, batch: int) -> list[Pumped]:
    return await pump(crowd, hub, batch, runs=RUNS, seconds=SECONDS, window=WINDOW)


GROWTH: Final = Scenario("growth", "full", run)
