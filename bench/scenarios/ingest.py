"""Ingest: batches over HTTP, every event validated and its publication confirmed."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Final

from bench.figures import Figure, at_least
from bench.machine import CpuClock
from bench.scenarios.scenario import Options, Scenario
from bench.servers import SECRET, broker, service, vhost
from tapewire.auth import mint
from tapewire.broker import Link, Role, declare, topology

EVENTS: Final = 500  # of a batch
CLIENTS: Final = 4  # requests under way


def batch(number: int) -> bytes:
    """Return NDJSON of session updates and decisions, each with an id of its own."""
    lines: list[bytes] = []
    for each in range(EVENTS):
        event = {
            "type": "session_status",
            "id": f"e-{number}-{each}",
            "userId": f"u-{each % 50}",
            "sessionId": "s-1",
            "status": "active",
            "timestamp": "2026-01-02T03:04:05.678Z",
            "data": {"currentPnL": -412.5, "totalTrades": 18, "lossLimitUtilization": 82.5},
        }
        lines.append(json.dumps(event, separators=(",", ":")).encode())
    return b"\n".join(lines)


async def run(options: Options) -> list[Figure]:
    """Post batches, and count what was accepted."""
    rates: list[float] = []
    per_cpu: list[float] = []
    with broker() as node:
        amqp = vhost(node)
        link = Link(amqp, Role.TOPOLOGY, name="bench")
        await link.start()
        await declare(link, topology.FLEET)
        channel = await link.channel()
        # Nobody consumes here: a queue that keeps the newest 100 stands for those that would.
        for queue in ("bench.events",):
            await channel.queue_declare(queue, arguments={"x-max-length": 100})
            await channel.queue_bind(queue, topology.EVENTS, "#")
        for thing in topology.SERVICE_QUEUES:
            if isinstance(thing, topology.Queue) and thing.name.startswith(("desk.", "risk.")):
                await channel.queue_delete(thing.name)
        await link.close()
        async with service("ingest", amqp) as (process, port):
            clock = CpuClock(process.pid)
            numbers = iter(range(10**9))
            await _post(port, numbers, 1.0)
            for _ in range(options.runs):
                clock.lap()
                taken, seconds = await _post(port, numbers, options.seconds)
                cpu_s, _ = clock.lap()
                rates.append(taken / seconds)
                per_cpu.append(taken / cpu_s)
    cpu_us = 1e6 / sorted(per_cpu)[len(per_cpu) // 2]
    notes = {"cpu_us_each": round(cpu_us, 1), "batch": EVENTS}
    return [
        Figure("ingest over HTTP, events/s", "1/s", tuple(rates), None, notes),
        Figure("ingest over HTTP, events per CPU second", "1/s", tuple(per_cpu), at_least(10_000)),
    ]


async def _post(port: int, numbers: Iterator[int], seconds: float) -> tuple[int, float]:
    until = time.perf_counter() + seconds
    token = mint(SECRET, "producer", scopes=["events:write"], ttl_s=3600)
    taken = 0

    async def client() -> None:
        nonlocal taken
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        while time.perf_counter() < until:
            body = batch(next(numbers))
            head = (
                f"POST /v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            told = await reader.readuntil(b"\r\n\r\n")
            size = next(
                int(line.split(b":")[1])
                for line in told.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            answer = await reader.readexactly(size)
            taken += answer.count(b'"accepted"')
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return taken, time.perf_counter() - began


INGEST: Final = Scenario("ingest", "both", run)
