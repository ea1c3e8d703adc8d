"""From a producer to clients' handlers through the whole fleet, under load, by stage.

A producer publishes session updates to `tw.ingest` with confirms, as any would; 1000 connections
hear each. Broker, ingest, risk, desk, market, edge, producer and clients share two cores. A tap on
`tw.events` tells when ingest was done. All clocks are one: the machine's monotonic clock.
"""

import asyncio
import json
import os
import time
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from aiormq.abc import DeliveredMessage

from bench import charts, payload
from bench.crowd import Crowd
from bench.figures import Figure, at_most, percentile
from bench.machine import CORES, CpuClock
from bench.peers import tapewire
from bench.scenarios.scenario import Options, Scenario
from bench.servers import beam, broker, service, vhost
from tapewire.broker import Link, Role, topology

EVENTS_PER_S: Final = 50
SECONDS: Final = 10.0
WARMING_S: Final = 2.0  # not counted: nothing that starts has its code and its tables at hand


async def run(options: Options) -> list[Figure]:
    """Run the fleet at 50,000 deliveries a second, and sort every delivery's age."""
    runs = min(options.runs, 5)
    stages: dict[str, list[float]] = {}
    clocks: dict[str, CpuClock] = {}
    shares: dict[str, float] = {}  # of a core, in the last run
    handler: list[float] = []
    middle: list[float] = []
    reached: list[float] = []
    with TemporaryDirectory(prefix="tapewire-bench-") as data, broker() as node:
        amqp = vhost(node)
        async with AsyncExitStack() as stack:
            for name in ("ingest", "risk", "desk", "market"):
                settings = {"TAPEWIRE_DATA_DIR": str(Path(data) / name)}
                process, _ = await stack.enter_async_context(
                    service(name, amqp, cores=CORES, **settings)
                )
                clocks[name] = CpuClock(process.pid)
            hub = await stack.enter_async_context(
                tapewire.edge(
                    [tapewire.SESSIONS], amqp, cores=CORES, TAPEWIRE_INBOX_QUEUE_TYPE="quorum"
                )
            )
            crowd = await stack.enter_async_context(Crowd())
            clocks |= {"edge": CpuClock(hub.pid), "clients": CpuClock(crowd.pid)}
            clocks |= {
                "producer and tap": CpuClock(os.getpid(), children=False),
                "broker": CpuClock(beam(node)),
            }
            await crowd.open(hub.port, hub.scripts(options.connections))
            await _round(amqp, hub, crowd, WARMING_S)
            for _ in range(runs):
                for clock in clocks.values():
                    clock.lap()
                times = await _round(amqp, hub, crowd, SECONDS if not options.quick else 4.0)
                for name, clock in clocks.items():
                    cpu_s, wall_s = clock.lap()
                    shares[name] = round(cpu_s / wall_s, 2)
                handler.append(times["handler_p99"])
                middle.append(times["handler_p50"])
                reached.append(times["per_s"])
                for stage in ("confirm", "ingest", "first", "last"):
                    stages.setdefault(stage, []).extend(times[stage])
    found = [
        Figure("producer to handler, whole fleet: p99", "ms", tuple(handler), at_most(25)),
        Figure("producer to handler, whole fleet: p50", "ms", tuple(middle)),
        Figure("producer to handler: deliveries", "1/s", tuple(reached), notes=dict(shares)),
    ]
    names = {
        "confirm": "published → confirmed by the broker",
        "ingest": "published → validated, on tw.events",
        "first": "on tw.events → first of 1000 handlers",
        "last": "first → last of 1000 handlers",
    }
    for stage, values in stages.items():
        values.sort()
        p50, p99 = (round(percentile(values, share), 2) for share in (0.5, 0.99))
        histogram = [round(percentile(values, share / 100), 3) for share in range(0, 101, 2)]
        notes: dict[str, Any] = {"p99": p99, "percentiles_by_2": histogram}
        name = f"stage: {names[stage]}, p50"
        found.append(Figure(name, "ms", (p50,), notes=notes))
    if options.keep:
        charts.stages({names[stage]: values for stage, values in stages.items()})
    return found


async def _round(amqp: str, hub: tapewire.Edge, crowd: Crowd, seconds: float) -> dict[str, Any]:
    link = Link(amqp, Role.CONSUME, name="bench tap")
    await link.start()
    channel = await link.channel()
    seen: dict[int, int] = {}

    async def tap(message: DeliveredMessage) -> None:
        event = json.loads(message.body)
        seen[int(event["id"][1:17])] = time.monotonic_ns() // 1000

    told = await channel.queue_declare("", exclusive=True)
    await channel.queue_bind(told.queue or "", topology.EVENTS, tapewire.KEY)
    await channel.basic_consume(told.queue or "", tap, no_ack=True)
    confirmed: dict[int, int] = {}
    await crowd.reset(latency=True)
    loop = asyncio.get_running_loop()
    due, sending = loop.time(), set[asyncio.Task[None]]()

    async def publish(number: int) -> None:
        mark = payload.stamp()
        event = {
            **{"type": "session_status", "id": f"{mark}-{number}", "userId": "bench"},
            **{"sessionId": "s-1", "status": "active"},
            "data": {"currentPnL": -412.5, "totalTrades": number, "timeElapsed": 5400},
        }
        await hub.publisher.publish(
            *(topology.INGEST, "any", json.dumps(event).encode()),
            type="session_status",
            message_id=event["id"],
        )
        confirmed[int(mark[1:])] = time.monotonic_ns() // 1000

    began = time.perf_counter()
    count = int(seconds * EVENTS_PER_S)
    for number in range(count):
        task = asyncio.create_task(publish(number))
        sending.add(task)
        task.add_done_callback(sending.discard)
        due += 1 / EVENTS_PER_S
        await asyncio.sleep(max(0.0, due - loop.time()))
    took = time.perf_counter() - began
    if sending:
        await asyncio.wait(sending)
    clients = (await crowd.tell()).clients
    answer = await crowd.until(count * clients, deadline_s=10)
    heard = await crowd.heard()
    await link.close()
    return {
        "handler_p99": percentile(answer.latencies_ms, 0.99),
        "handler_p50": percentile(answer.latencies_ms, 0.5),
        "per_s": answer.total / took,
        "confirm": [(at - sent) / 1000 for sent, at in confirmed.items()],
        "ingest": [(at - sent) / 1000 for sent, at in seen.items()],
        "first": [(h[0] - seen[s]) / 1000 for s, h in heard.items() if s in seen],
        "last": [(h[1] - h[0]) / 1000 for h in heard.values()],
    }


LATENCY: Final = Scenario("latency", "full", run)
