"""Fan-out: one message to every connection, beside the peers; and a market's quotes.

Goals: performance.md. Ratios are between medians of one run of the benchmark.
"""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import product
from typing import Any, Final

from bench import charts
from bench.crowd import Crowd
from bench.figures import Figure, Goal, at_least, ratio
from bench.peers import (
    centrifugo,
    django_channels,
    plain_starlette,
    socket_io,
    tapewire,
    web_mqtt,
    websockets_broadcast,
)
from bench.peers.peer import Hub, Peer
from bench.pump import Pumped, pump
from bench.scenarios.scenario import Options, Scenario
from bench.servers import NotHere

US: Final = "Tapewire edge"
BATCHES: Final = (1, 5, 20)
FAULTS: Final = (NotHere, RuntimeError, TimeoutError, OSError, EOFError)
EIGHT: Final = 8  # batches under way, as of eight producers

PEERS: Final = (
    Peer(US, tapewire.broadcasting),
    Peer("Centrifugo", centrifugo.start),
    Peer("Starlette", plain_starlette.start),
    Peer("websockets broadcast()", websockets_broadcast.start),
    Peer("Django Channels", django_channels.start),
    Peer("socket.io", socket_io.start),
    Peer("RabbitMQ Web MQTT", web_mqtt.start),
)

RATIOS: Final[dict[int, Goal]] = {1: at_least(1.0), 5: at_least(1.5), 20: at_least(2.5)}
"""To Centrifugo, by the messages of a batch."""


def named(peer: str, batch: int) -> str:
    """Return the name of a peer's figure."""
    how = "one message at a time" if batch == 1 else f"batches of {batch}"
    return f"fan-out, {how}: {peer}"


async def run(options: Options) -> list[Figure]:
    """Measure every peer that is here."""
    chosen = [
        p for p in PEERS if not options.peers or any(part in p.name for part in options.peers)
    ]
    figures = await measure(chosen, BATCHES, options)
    found = list(figures.values())
    for batch, goal in RATIOS.items():
        ours, theirs = figures.get(named(US, batch)), figures.get(named("Centrifugo", batch))
        found += ratios(f"fan-out, batches of {batch}: edge / Centrifugo", ours, theirs, goal)
    for peer in PEERS[2:]:
        ours, theirs = figures.get(named(US, 1)), figures.get(named(peer.name, 1))
        name = f"fan-out, one at a time: edge / {peer.name}"
        found.append(ratio(name, ours, theirs, at_least(1.0)))
    if options.keep:
        charts.peers(found, {b: [named(peer.name, b) for peer in PEERS] for b in BATCHES})
    return found


def ratios(name: str, ours: Figure | None, theirs: Figure | None, goal: Goal) -> list[Figure]:
    """Return ours to theirs: of a batch by itself, and of eight under way."""
    alone = ratio(name, ours, theirs, goal)
    if not (ours and theirs) or ours.missing or theirs.missing:
        return [alone]
    alone.notes["by_the_clock"] = round(
        ours.notes["by_the_clock"] / theirs.notes["by_the_clock"], 2
    )
    mine, other = ours.notes["eight_at_once"], theirs.notes["eight_at_once"]
    return [alone, Figure(f"{name}, eight at once", "times", (mine / other,), goal)]


async def quick(options: Options) -> list[Figure]:
    """Measure the edge and the plain broadcast, and the ratio between them."""
    figures = await measure((PEERS[0], PEERS[2]), (1, 5), options)
    found = list(figures.values())
    for batch, least in ((1, 1.2), (5, 5.0)):
        ours, theirs = figures.get(named(US, batch)), figures.get(named("Starlette", batch))
        name = f"fan-out, batches of {batch}: edge / plain broadcast"
        found += ratios(name, ours, theirs, at_least(least))
    return found


async def measure(
    peers: Sequence[Peer], batches: Sequence[int], options: Options
) -> dict[str, Figure]:
    """Return a figure for each peer and batch size: by itself, and in the notes eight under way.

    All are there from the beginning, and each run of one is followed by the same run of the next:
    a machine that others use has slow minutes, and a ratio should be of the same one.
    """
    runs: dict[tuple[str, int, int], list[Pumped]] = {}
    missing: dict[str, str] = {}
    there: dict[str, tuple[Hub, Crowd]] = {}
    async with AsyncExitStack() as stack:
        for peer in peers:
            try:
                there[peer.name] = await _enter(stack, peer, options.connections)
            except FAULTS as error:
                missing[peer.name] = str(error) or type(error).__name__
        await asyncio.sleep(0.5)
        for batch, window in product(batches, (1, EIGHT)):
            print(f"  batches of {batch}, {window} under way", file=sys.stderr, flush=True)
            for name, (hub, crowd) in [*there.items()] * options.runs:
                if name in missing:
                    continue
                each = runs.setdefault((name, batch, window), [])
                try:
                    each += await pump(
                        *(crowd, hub, batch), runs=1, seconds=options.seconds, window=window
                    )
                except FAULTS as error:
                    missing[name] = str(error) or type(error).__name__
    found: dict[str, Figure] = {}
    for peer, batch in product(peers, batches):
        name = named(peer.name, batch)
        if peer.name in missing:
            found[name] = Figure(name, "deliveries/s/core", missing=missing[peer.name])
            continue
        goal = at_least(100_000) if (peer.name, batch) == (US, 1) else None
        found[name] = one = figure(name, runs[peer.name, batch, 1], goal)
        at_once = figure("", runs[peer.name, batch, EIGHT])
        one.notes["eight_at_once"] = round(at_once.median)
        one.notes["eight_joined"] = at_once.notes["joined"]
    return found


async def _enter(stack: AsyncExitStack, peer: Peer, connections: int) -> tuple[Hub, Crowd]:
    hub = await stack.enter_async_context(peer.start())
    crowd = await stack.enter_async_context(Crowd())
    opened = await crowd.open(hub.port, hub.scripts(connections))
    if opened.failed:
        raise NotHere(f"{opened.failed} connections failed")
    return hub, crowd


def figure(name: str, runs: Sequence[Pumped], goal: Goal | None = None) -> Figure:
    """Return the figure of a pump's runs: deliveries in a second of the server's CPU time.

    Beside a server that is busy all the time it is what comes by the clock, in the notes. Where the
    loop waits for who publishes, it tells what the server could do. ``joined`` are the messages
    that came to a connection by one read.
    """
    middle = sorted(runs, key=lambda run: run.cpu_us)[len(runs) // 2]
    notes: dict[str, Any] = {
        "cpu_us_each": round(middle.cpu_us, 2),
        "by_the_clock": round(middle.per_s),
        "server_busy": round(middle.busy, 2),
        "generator_busy": round(middle.swarm, 2),
        "bytes_each": round(middle.bytes_each),
        "joined": round(middle.joined, 1),
    }
    return Figure(name, "deliveries/s/core", tuple(1e6 / run.cpu_us for run in runs), goal, notes)


async def market(options: Options) -> list[Figure]:
    """Measure 50 symbols to 1000 connections that hear them all, in bundles as `market` makes."""
    symbols = tapewire.symbols(50, one_shard=False)
    shards: dict[int, list[str]] = {}
    for symbol in symbols:
        shards.setdefault(tapewire.bundle_shard(symbol), []).append(symbol)

    class Market:
        """The edge, with a whole market as its batch."""

        def __init__(self, hub: tapewire.Edge) -> None:
            self.name, self.pid, self.port, self.scripts = hub.name, hub.pid, hub.port, hub.scripts
            self._hub = hub

        async def publish(self, messages: int) -> None:
            await asyncio.gather(*(self._hub.bundle(of) for of in shards.values()))

    channels = [f"market:{symbol}" for symbol in symbols]
    async with tapewire.edge(channels) as edge, Crowd() as crowd:
        await crowd.open(edge.port, edge.scripts(options.connections))
        hub = Market(edge)
        runs = await pump(crowd, hub, 50, runs=options.runs, seconds=options.seconds, window=2)
    made = figure("fan-out, 50 symbols at 20 Hz", runs, at_least(300_000))
    by_clock = Figure(
        "fan-out, 50 symbols at 20 Hz, by the clock",
        "deliveries/s",
        tuple(run.per_s for run in runs),
    )
    by_clock.notes["hz"] = round(by_clock.median / len(symbols) / options.connections, 1)
    return [made, by_clock]


FAN_OUT: Final = Scenario("fan-out", "full", run)
FAN_OUT_QUICK: Final = Scenario("fan-out-quick", "quick", quick)
MARKET: Final = Scenario("market", "both", market)
