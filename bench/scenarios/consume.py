"""What a consumed message costs the process that consumes it: by peers, and by ours."""

import asyncio
import sys
from typing import Final

from bench import payload
from bench.figures import Figure, at_most
from bench.machine import SERVER_CORE, pinned
from bench.scenarios.scenario import Options, Scenario
from bench.servers import broker, vhost
from tapewire.broker import Link, Message, Publisher, Role
from tapewire.contracts import new_id

CLIENTS: Final = {
    ("aio-pika", "no-ack"): "aio-pika, without acks",
    ("aiormq", "no-ack"): "aiormq, without acks",
    ("edge", "no-ack"): "the edge's queue, without acks",
    ("aio-pika", "ack"): "aio-pika, acks",
    ("aiormq", "ack"): "aiormq, acks",
    ("edge", "ack"): "the edge's trays, acks",
    ("consumer", "ack"): "`Consumer`, a handler for each",
    ("batches", "ack"): "`BatchConsumer`, a handler for what has arrived",
}


async def run(options: Options) -> list[Figure]:
    """Fill a queue, and have each client empty it on a core of its own; turn by turn."""
    messages = 3000 if options.quick else 10_000
    cost: dict[tuple[str, str], list[float]] = {client: [] for client in CLIENTS}
    with broker() as node:
        amqp = vhost(node)
        link = Link(amqp, Role.PUBLISH, name="bench")
        await link.start()
        channel = await link.channel()
        publisher = Publisher(link)
        for turn in range(min(options.runs, 3)):
            for number, (client, ack) in enumerate(CLIENTS):
                queue = f"consume-{turn}-{number}"
                await channel.queue_declare(queue, durable=True)
                await publisher.publish_all([_message(queue) for _ in range(messages)])
                cost[client, ack].append(await _clocked(client, amqp, queue, messages, ack))
                await channel.queue_delete(queue)
        await publisher.close()
        await link.close()
    figures = {
        client: Figure(f"consume: {name}", "µs of CPU", tuple(cost[client]))
        for client, name in CLIENTS.items()
    }
    ratios = [
        Figure(
            f"consume, {'acks' if ack == 'ack' else 'without acks'}: edge / aio-pika",
            "times",
            (figures["edge", ack].median / figures["aio-pika", ack].median,),
            at_most(0.5),
        )
        for ack in ("no-ack", "ack")
    ]
    return [*figures.values(), *ratios]


def _message(queue: str) -> Message:
    return Message(
        "",
        queue,
        payload.status(),
        "session_status",
        new_id(),
        headers={"session": "bench.s-1", "traceparent": "00-" + "0" * 32 + "-01"},
        persistent=False,
    )


async def _clocked(client: str, amqp: str, queue: str, messages: int, ack: str) -> float:
    with pinned(SERVER_CORE):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.consuming", client, amqp, queue, str(messages), ack),
            stdout=asyncio.subprocess.PIPE,
        )
    async with asyncio.timeout(60):
        told, _ = await process.communicate()
    return float(told)


CONSUME: Final = Scenario("consume", "full", run)
