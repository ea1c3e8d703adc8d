"""Critical alerts: published, confirmed, shown, acknowledged by the client, settled; none lost."""

import asyncio
import time
from collections.abc import Iterator
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
    users = [f"a-{n}" for n in range(USERS)]
    with broker() as node:
        amqp = vhost(node)
        inboxes = {"TAPEWIRE_INBOX_QUEUE_TYPE": "quorum"}
        async with tapewire.edge([], amqp, **inboxes) as hub, Crowd() as crowd:
            await crowd.open(hub.port, [tapewire.script(user, []) for user in users])
            numbers = count()  # an id that was acknowledged is not shown again
            for _ in range(options.runs):
                rate, used, missing = await _round(hub, crowd, users, numbers, options.seconds)
                rates.append(rate)
                cpu.append(used)
                lost += missing
            await asyncio.sleep(1.0)  # for the last acks to reach the broker
        # The edge was killed: whatever it had not settled is back in its queue.
        left = await _waiting(amqp, users)
    notes = {"users": USERS, "edge_cpu_us_each": round(sorted(cpu)[len(cpu) // 2])}
    name = "critical alerts, publish to settled"
    return [
        Figure(name, "1/s", tuple(rates), at_least(1500), notes),
        Figure("critical alerts lost or left unsettled", "", (float(lost + left),), at_most(0)),
    ]


async def _round(
    hub: tapewire.Edge, crowd: Crowd, users: list[str], numbers: Iterator[int], seconds: float
) -> tuple[float, float, int]:
    await crowd.reset(acking=True)
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


async def _waiting(amqp: str, users: list[str]) -> int:
    """Return how many alerts are in inboxes, once the broker has noticed that the edge is gone."""
    await asyncio.sleep(2.0)
    link = Link(amqp, Role.TOPOLOGY, name="bench")
    await link.start()
    channel = await link.channel()
    left = 0
    for user in users:
        told = await channel.queue_declare(topology.inbox(user).name, passive=True)
        left += told.message_count or 0
    await link.close()
    return left


ALERTS: Final = Scenario("alerts", "full", run)
