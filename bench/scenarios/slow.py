"""What clients that do not read cost the others: the others' p99, with and without them."""

import asyncio
import statistics
from typing import Final

from bench.crowd import Crowd
from bench.figures import Figure, at_most, percentile
from bench.peers import tapewire
from bench.scenarios.scenario import Options, Scenario

SYMBOLS: Final = 20
RATE_HZ: Final = 10
STALLED: Final = 10


async def run(options: Options) -> list[Figure]:
    """Pace quotes at a part of what the edge can; then stop reading on some connections."""
    symbols = tapewire.symbols(SYMBOLS, one_shard=True)
    others = options.connections - STALLED
    p99: dict[bool, list[float]] = {False: [], True: []}
    channels = [f"market:{symbol}" for symbol in symbols]
    async with tapewire.edge(channels) as hub, Crowd() as crowd, Crowd() as slow:
        scripts = hub.scripts(options.connections)
        await crowd.open(hub.port, scripts[:others])
        for stalled in (False, True):
            # Ten further readers, then the same ten asleep: the same number of connections.
            await slow.open(hub.port, scripts[others:], receive_buffer=4096)
            if stalled:
                await slow.stall(STALLED)
            for _ in range(options.runs + 1):
                p99[stalled].append(await _round(hub, crowd, symbols, options.seconds))
            await slow.close()
    without, beside = (p99[stalled][1:] for stalled in (False, True))  # the first warms up
    effect = 100 * (statistics.median(beside) / statistics.median(without) - 1)
    name = f"p99 of {others} readers"
    return [
        Figure(f"{name}, all read", "ms", tuple(without)),
        Figure(f"{name}, beside {STALLED} that never read", "ms", tuple(beside)),
        Figure("slow clients move the others' p99 by", "%", (effect,), at_most(5.0)),
    ]


async def _round(hub: tapewire.Edge, crowd: Crowd, symbols: list[str], seconds: float) -> float:
    await crowd.reset(latency=True)
    loop = asyncio.get_running_loop()
    due = loop.time()
    for _ in range(int(seconds * RATE_HZ)):
        await hub.bundle(symbols)
        due += 1 / RATE_HZ
        await asyncio.sleep(max(0.0, due - loop.time()))
    return percentile((await crowd.tell()).latencies_ms, 0.99)


SLOW: Final = Scenario("slow", "full", run)
