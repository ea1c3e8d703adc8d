"""Storms: 5000 users whose trays wait come back at once, and those who are there must not notice.

Three of them: an edge was started anew; the broker was; and an edge drains, which paces them over
its window while they go to another.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import httpx

from bench.crowd import Crowd
from bench.figures import Figure, at_least, at_most, percentile
from bench.peers import tapewire
from bench.scenarios.scenario import Options, Scenario
from bench.servers import running_broker, vhost
from bench.websocket import Script
from tapewire.fleet.running_node import RunningNode

USERS: Final = 5000
DEADLINE_S: Final = 120.0
TRAYS: Final = 2  # of a user: inbox and recent


async def storm(options: Options) -> list[Figure]:
    """Have all of them come after each kind of restart."""
    users = 500 if options.quick else USERS
    runs = min(options.runs, 2)
    scripts = [tapewire.script(f"r-{n}", []) for n in range(users)]
    with running_broker() as broker:
        amqp = vhost(broker.node)
        async with tapewire.edge([], amqp) as hub, Crowd() as crowd:
            await crowd.open(hub.port, scripts, deadline_s=300)
        _say(f"{users} users have their trays")
        found = await _after_edge(amqp, scripts, runs)
        _say("edge restarted")
        found += await _drained(amqp, scripts)
        _say("edge drained")
        found += await _after_broker(broker, amqp, scripts)
    return found


def _say(done: str) -> None:
    print(f"  {done}", file=sys.stderr, flush=True)


async def _after_edge(amqp: str, scripts: Sequence[Script], runs: int) -> list[Figure]:
    took: list[float] = []
    dropped = 0
    for _ in range(runs):
        async with tapewire.edge([], amqp) as hub, Crowd() as others, Crowd() as crowd:
            await others.open(hub.port, [tapewire.script("there", [])] * 20)
            await others.reset()
            began = time.perf_counter()
            opened = await crowd.open(hub.port, scripts, in_flight=len(scripts))
            took.append(time.perf_counter() - began)
            dropped += opened.failed + (await others.tell()).lost
    name = f"storm of {len(scripts)}, edge restarted"
    return [
        Figure(f"{name}: to the last welcome", "s", tuple(took), at_most(8.0)),
        Figure(f"{name}: refused or dropped", "", (float(dropped),), at_most(0)),
    ]


async def _drained(amqp: str, scripts: Sequence[Script]) -> list[Figure]:
    """Drain one edge; its users go to another at the pace at which they are let go."""
    async with (
        tapewire.edge([], amqp) as leaving,
        tapewire.edge([], amqp) as staying,
        Crowd() as others,
        Crowd() as crowd,
    ):
        await others.open(staying.port, [tapewire.script("there", [])] * 20)
        await others.reset()
        await crowd.open(leaving.port, scripts, in_flight=64, deadline_s=300)
        await crowd.follow(staying.port)
        began = time.perf_counter()
        leaving.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE_S):
            while len((told := await crowd.followed())[0]) < len(scripts):
                await asyncio.sleep(0.2)
        took = time.perf_counter() - began
        times, again = told
        lost = (await others.tell()).lost
    name = f"storm of {len(scripts)}, edge drained"
    p50, p99 = (1000 * percentile(times, share) for share in (0.5, 0.99))
    notes = {"p50_ms": round(p50), "tried_again": again, "to_the_last_s": round(took, 1)}
    return [
        Figure(f"{name}: welcomes, p99", "ms", (p99,), at_most(500), notes),
        Figure(f"{name}: welcomes", "", (float(len(times)),), at_least(len(scripts))),
        Figure(f"{name}: others dropped", "", (float(lost),), at_most(0)),
    ]


async def _after_broker(broker: RunningNode, amqp: str, scripts: Sequence[Script]) -> list[Figure]:
    """Restart the broker under connections that stay: until every tray is consumed again."""
    async with tapewire.edge([], amqp) as hub, Crowd() as crowd:
        await crowd.open(hub.port, scripts, in_flight=64, deadline_s=300)
        await _open_trays(hub.port, TRAYS * len(scripts))
        await crowd.reset()
        await asyncio.to_thread(broker.stop)
        began = time.perf_counter()
        await asyncio.to_thread(broker.start)
        ready = time.perf_counter()
        await _open_trays(hub.port, TRAYS * len(scripts))
        took = time.perf_counter() - ready
        lost = (await crowd.tell()).lost
    name = f"storm of {len(scripts)}, broker restarted"
    notes = {"broker_start_s": round(ready - began, 1)}
    return [
        Figure(f"{name}: to the last tray", "s", (took,), at_most(8.0), notes),
        Figure(f"{name}: connections dropped", "", (float(lost),), at_most(0)),
    ]


async def _open_trays(port: int, count: int) -> None:
    """Wait until so many trays are consumed."""
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(DEADLINE_S):
        while True:
            with suppress(httpx.HTTPError):
                text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
                if any(
                    float(line.rsplit(" ", 1)[1]) >= count
                    for line in text.splitlines()
                    if line.startswith("tapewire_edge_mailboxes") and 'state="open"' in line
                ):
                    return
            await asyncio.sleep(0.1)


STORMS: Final = Scenario("storm", "full", storm)
