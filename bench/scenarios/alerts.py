"""Critical alerts: published, confirmed, shown, acknowledged by the client, settled; none lost."""

import asyncio
import time
from itertools import count
from typing import Final

from bench import payload
from bench.crowd import Crowd
from bench.figures import Figure, at_least, at_most
from bench.machine import CpuClock
from bench.peers import tapewire
from bench.scenarios.scenario import Options, Scenario
from bench.servers import broker, vhost
from tapewire.broker import Link, Role, topology

USERS: Final = 100
PUBLISHERS: Final = 64  # alerts whose confirm is under way


def alert(number: int) -> bytes:
    """Return an alert of about 300 bytes."""
    head = f'{{"type":"risk_alert","id":"a-{number}","sessionId":"s-1","alertLevel":"critical",'
    tail = '"alertType":"loss_limit","currentValue":92.1,"threshold":90.0,"ack":true}'
    return (head + f'"message":"{payload.stamp()} the loss limit is near",' + tail).encode()


async def run(options: Options) -> list[Figure]:
    """Publish as risk does, to the alerts' exchange, as fast as the broker confirms."""
    rates: list[float] = []
    cpu: list[float] = []
    lost = 0
    for queue_type in ("quorum",):
        with broker() as node:
            amqp = vhost(node)
            env = {"TAPEWIRE_INBOX_QUEUE_TYPE": queue_type}
            async with tapewire.edge([], amqp, **env) as hub, Crowd() as crowd:
                users = [f"a-{n}" for n in range(USERS)]
                await crowd.open(hub.port, [tapewire.script(user, []) for user in users])
                for _ in range(options.runs):
                    rate, cpu_us, missing = await _round(hub, crowd, users, options.seconds)
                    rates.append(rate)
                    cpu.append(cpu_us)
                    lost += missing
                left = await _waiting(amqp, users, queue_type)
    notes = {"users": USERS, "edge_cpu_us_each": round(sorted(cpu)[len(cpu) // 2])}
    name = "critical alerts, publish to settled"
    return [
        Figure(name, "1/s", tuple(rates), at_least(1500), notes),
        Figure("critical alerts lost or left unsettled", "", (float(lost + left),), at_most(0)),
    ]


async def _round(
    hub: tapewire.Edge, crowd: Crowd, users: list[str], seconds: float
) -> tuple[float, float, int]:
    await crowd.reset(acking=True)
    numbers = count()
    until = time.perf_counter() + seconds
    clock = CpuClock(hub.pid)
    published = 0

    async def publisher() -> None:
        nonlocal published
        while time.perf_counter() < until:
            number = next(numbers)
            key = f"{users[number % len(users)]}.s-1.loss_limit.critical"
            await hub.publisher.publish(
                *(topology.ALERTS, key, alert(number)), type="risk_alert", message_id=f"a-{number}"
            )
            published += 1

    began = time.perf_counter()
    await asyncio.gather(*(publisher() for _ in range(PUBLISHERS)))
    told = await crowd.until(published, deadline_s=30)
    took = time.perf_counter() - began
    cpu_s, _ = clock.lap()
    return published / took, 1e6 * cpu_s / published, published - told.total


async def _waiting(amqp: str, users: list[str], queue_type: str) -> int:
    """Return how many alerts are not settled once the edge is at rest and gone."""
    await asyncio.sleep(1.0)
    link = Link(amqp, Role.TOPOLOGY, name="bench")
    await link.start()
    channel = await link.channel()
    left = 0
    for user in users:
        queue = topology.inbox(user, queue_type="quorum" if queue_type == "quorum" else "classic")
        told = await channel.queue_declare(queue.name, passive=True)
        left += told.message_count or 0
    await link.close()
    return left


ALERTS: Final = Scenario("alerts", False, run)
