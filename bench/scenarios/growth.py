"""How cost grows: with connections, symbols, users with inboxes, workers. Draws a plot of each."""

import asyncio
import os
import statistics
import sys
from typing import Any, Final

import psutil

from bench.crowd import Crowd
from bench.figures import Figure
from bench.machine import CORES, resident_bytes
from bench.peers import tapewire
from bench.peers.peer import Hub
from bench.pump import pump
from bench.scenarios.scenario import Options, Scenario

CONNECTIONS: Final = (100, 1000, 3000, 10_000)
RUNS: Final = 2
SECONDS: Final = 1.5
WINDOW: Final = 4  # batches under way
SYMBOLS: Final = (1, 5, 20, 100)
USERS: Final = (100, 500, 2000, 5000)


def row(name: str, unit: str, values: dict[int, float], **more: Any) -> Figure:
    """Return one curve as a figure: its points are notes."""
    points = {str(x): round(y, 3) for x, y in values.items()}
    last = list(values.values())[-1]
    return Figure(name, unit, (last,), notes={"points": points, **more})


async def run(options: Options) -> list[Figure]:
    """Measure the curves, one after the other."""
    found: list[Figure] = []
    for part in (connections, symbols, users, workers):
        found += await part(options)
    from bench import plots

    if not options.quick:
        plots.draw(found)
    return found


async def connections(options: Options) -> list[Figure]:
    """Measure deliveries and memory against connections."""
    one: dict[int, float] = {}
    five: dict[int, float] = {}
    memory: dict[int, float] = {}
    for count in CONNECTIONS[:2] if options.quick else CONNECTIONS:
        print(f"  {count} connections", file=sys.stderr, flush=True)
        async with tapewire.broadcasting() as hub, Crowd() as crowd:
            empty = resident_bytes(hub.pid)
            await crowd.open(hub.port, hub.scripts(count))
            await asyncio.sleep(1.0)
            memory[count] = (resident_bytes(hub.pid) - empty) / 2**20
            one[count] = await _rate(crowd, hub, 1)
            five[count] = await _rate(crowd, hub, 5)
    return [
        row("growth, connections: one at a time", "deliveries/s", one),
        row("growth, connections: batches of 5", "deliveries/s", five),
        row("growth, connections: memory", "MB", memory),
    ]


async def symbols(options: Options) -> list[Figure]:
    """Measure deliveries against the symbols of a bundle that each of 1000 connections hears."""
    rates: dict[int, float] = {}
    for count in SYMBOLS:
        names = tapewire.symbols(count, one_shard=True)
        limit = {"TAPEWIRE_EDGE_CHANNELS": "2000"}
        async with tapewire.edge([f"market:{n}" for n in names], **limit) as hub, Crowd() as crowd:
            await crowd.open(hub.port, hub.scripts(options.connections))
            hub.publish = lambda messages, hub=hub, names=names: hub.bundle(names)  # type: ignore[method-assign]
            rates[count] = await _rate(crowd, hub, count)
    return [row("growth, symbols of a bundle", "deliveries/s", rates)]


async def users(options: Options) -> list[Figure]:
    """Measure memory and the rate of first openings against users, each with trays of their own."""
    memory: dict[int, float] = {}
    rates: dict[int, float] = {}
    broker_memory: dict[int, float] = {}
    async with tapewire.edge([], TAPEWIRE_INBOX_QUEUE_TYPE="quorum") as hub, Crowd() as crowd:
        empty = resident_bytes(hub.pid)
        beam = next(
            p
            for p in psutil.process_iter(["name", "cmdline"])
            if p.info["name"] == "beam.smp" and "tapewire-bench-" in " ".join(p.info["cmdline"])
        )
        empty_broker = beam.memory_info().rss
        before = 0
        for count in USERS[:2] if options.quick else USERS:
            print(f"  {count} users", file=sys.stderr, flush=True)
            scripts = [tapewire.script(f"g-{n}", []) for n in range(before, count)]
            opened = await crowd.open(hub.port, scripts, in_flight=64, deadline_s=300)
            await asyncio.sleep(1.0)
            rates[count] = opened.count / opened.seconds
            memory[count] = (resident_bytes(hub.pid) - empty) / 2**20
            broker_memory[count] = (beam.memory_info().rss - empty_broker) / 2**20
            before = count
    return [
        row("growth, users with quorum inboxes: memory of the edge", "MB", memory),
        row("growth, users with quorum inboxes: memory of the broker", "MB", broker_memory),
        row("growth, users with quorum inboxes: first openings", "1/s", rates),
    ]


async def workers(options: Options) -> list[Figure]:
    """Measure deliveries of 1 and 2 workers; the second shares its core with all the rest."""
    rates: dict[int, float] = {}
    channels = [f"market:{symbol}" for symbol in tapewire.symbols(5, one_shard=True)]
    for count in (1, 2):
        cores = CORES[:1] if count == 1 else CORES
        async with tapewire.edge(channels, workers=count, cores=cores) as hub, Crowd() as crowd:
            await crowd.open(hub.port, hub.scripts(options.connections))
            rates[count] = await _rate(crowd, hub, 5)
    return [row("growth, workers, batches of 5", "deliveries/s", rates, cores=os.cpu_count())]


async def _rate(crowd: Crowd, hub: Hub, batch: int) -> float:
    runs = await pump(crowd, hub, batch, runs=RUNS, seconds=SECONDS, window=WINDOW)
    return statistics.median(run.per_s for run in runs)


GROWTH: Final = Scenario("growth", "full", run)
