"""A process that consumes one full queue with one client, and tells what each message cost it.

python -m bench.consuming CLIENT AMQP QUEUE COUNT ack|no-ack
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aio_pika
import aiormq
import uvloop
from aiormq.abc import DeliveredMessage

from tapewire.broker import BatchConsumer, Consumer, Delivery, Link, Role, Settlement
from tapewire.broker.topology import Queue
from tapewire.edge.mailbox.lane import Lane

PREFETCH: Final = 512


class Count:
    """Counts messages down, and clocks this process's CPU from the first to the last."""

    def __init__(self, messages: int) -> None:
        self._messages = self._left = messages
        self._began = 0.0
        self.us_each: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def one(self) -> None:
        """A message came."""
        if self._left == self._messages:
            self._began = time.process_time()
        self._left -= 1
        if self._left == 0:
            used = time.process_time() - self._began
            self.us_each.set_result(1e6 * used / (self._messages - 1))


async def by_aio_pika(amqp: str, queue: str, count: Count, *, ack: bool) -> object:
    """Consume by aio-pika."""
    connection = await aio_pika.connect(amqp)
    channel = await connection.channel(publisher_confirms=False)
    await channel.set_qos(prefetch_count=PREFETCH)

    async def take(message: Any) -> None:
        if ack:
            await message.ack()
        count.one()

    await (await channel.get_queue(queue)).consume(take, no_ack=not ack)
    return connection


async def by_aiormq(amqp: str, queue: str, count: Count, *, ack: bool) -> object:
    """Consume by aiormq."""
    connection = await aiormq.connect(amqp)
    channel = await connection.channel(publisher_confirms=False)
    await channel.basic_qos(prefetch_count=PREFETCH)

    async def take(message: DeliveredMessage) -> None:
        if ack:
            await channel.basic_ack(message.delivery_tag or 0, wait=False)
        count.one()

    await channel.basic_consume(queue, take, no_ack=not ack)
    return connection


async def by_edge(amqp: str, queue: str, count: Count, *, ack: bool) -> object:
    """Consume as the edge does: its own queue without acks, trays with acks one by one."""
    link = await _link(amqp)
    if not ack:
        tap = await link.tap()
        await tap.consume(queue, lambda _: count.one(), tag="bench", no_ack=True)
        return link, tap
    lane = Lane(link, PREFETCH, lambda _: None, lambda _: None)

    def take(message: DeliveredMessage) -> None:
        lane.settle(message.delivery_tag or 0, requeue=False)
        count.one()

    await lane.consume(queue, "bench", take)
    return link, lane


async def by_consumer(amqp: str, queue: str, count: Count, *, ack: bool) -> object:
    """Consume as services do, a handler for each message."""
    assert ack

    async def handle(_: Delivery) -> Settlement:
        count.one()
        return Settlement.ACK

    consumer = Consumer(
        await _link(amqp), Queue(queue, {}, ()), handle, prefetch=PREFETCH, concurrency=16
    )
    await consumer.start()
    return consumer


async def by_batches(amqp: str, queue: str, count: Count, *, ack: bool) -> object:
    """Consume as services do that handle what has arrived at once."""
    assert ack

    async def handle(batch: Any) -> list[Settlement]:
        for _ in batch:
            count.one()
        return [Settlement.ACK] * len(batch)

    consumer = BatchConsumer(await _link(amqp), Queue(queue, {}, ()), handle, prefetch=PREFETCH)
    await consumer.start()
    return consumer


CLIENTS: Final[dict[str, Callable[..., Awaitable[object]]]] = {
    "aio-pika": by_aio_pika,
    "aiormq": by_aiormq,
    "edge": by_edge,
    "consumer": by_consumer,
    "batches": by_batches,
}


async def _link(amqp: str) -> Link:
    link = Link(amqp, Role.CONSUME, name="bench")
    await link.start()
    await link.connected()
    return link


async def main() -> None:
    """Consume, and print microseconds of CPU for each message."""
    client, amqp, queue, messages, ack = sys.argv[1:]
    count = Count(int(messages))
    kept = await CLIENTS[client](amqp, queue, count, ack=ack == "ack")
    print(await count.us_each, flush=True)
    await asyncio.sleep(0.1)  # for the last acks
    del kept


if __name__ == "__main__":
    uvloop.run(main())
