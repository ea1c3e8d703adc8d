"""Many messages at once: written in order, each with an outcome of its own."""

import asyncio
from typing import TYPE_CHECKING

from aiormq import Channel, spec

from tapewire.broker import Message, NotConfirmed, declare
from tapewire.broker.pipe import Outgoing, Pipe
from tapewire.broker.publisher import BATCH, GIVEN_UP
from tapewire.broker.topology import REJECTED, REJECTED_QUEUE, Queue

if TYPE_CHECKING:
    from .conftest import Bench


def numbered(count: int, exchange: str = REJECTED, key: str = "x") -> list[Message]:
    return [Message(exchange, key, str(n).encode(), "t", str(n)) for n in range(count)]


async def test_a_batch_is_written_in_order_between_single_messages(bench: "Bench") -> None:
    count = 2 * BATCH + 10
    first = asyncio.create_task(
        bench.publisher.publish(REJECTED, "x", b"first", type="t", message_id="f")
    )
    await asyncio.sleep(0)
    assert await bench.publisher.publish_all(numbered(count)) == [None] * count
    await first
    channel = await bench.consume.channel()
    arrived = [await channel.basic_get(REJECTED_QUEUE.name, no_ack=True) for _ in range(count + 1)]
    assert [message.body.decode() for message in arrived] == ["first", *map(str, range(count))]
    await channel.close()


async def test_a_body_larger_than_a_frame_arrives_whole(bench: "Bench") -> None:
    large = b"x" * 300_000
    assert await bench.publisher.publish_all([Message(REJECTED, "x", large, "t", "1")]) == [None]
    channel = await bench.consume.channel()
    assert (await channel.basic_get(REJECTED_QUEUE.name, no_ack=True)).body == large
    await channel.close()


async def test_refused_messages_say_so_and_what_follows_their_batch_is_given_up(
    bench: "Bench",
) -> None:
    full = Queue("full", {"x-max-length": 1, "x-overflow": "reject-publish"})
    await declare(bench.topology, [full])
    outcomes = await bench.publisher.publish_all(numbered(3 * BATCH, "", "full"))
    assert outcomes[0] is None
    assert all(isinstance(outcome, NotConfirmed) for outcome in outcomes[1:])
    assert str(outcomes[-1]) == GIVEN_UP


async def test_a_batch_on_a_lost_connection_says_of_each_that_it_may_be_missing(
    bench: "Bench",
) -> None:
    await bench.publisher.publish(REJECTED, "x", b"{}", type="t", message_id="1")
    bench.cable.cut()
    outcomes = await bench.publisher.publish_all(numbered(BATCH))
    confirmed = [outcome is None for outcome in outcomes]
    assert confirmed == sorted(confirmed, reverse=True) or not any(confirmed)
    assert await bench.publisher.publish_all(numbered(3)) == [None] * 3


async def test_a_message_given_up_before_it_was_written_never_is(bench: "Bench") -> None:
    may_open = asyncio.Event()

    async def open_later() -> Channel:
        await may_open.wait()
        return channel

    channel = await bench.publish.channel(confirms=True)
    pipe = Pipe(open_later, window=10)
    properties = spec.Basic.Properties(message_id="1")
    first, given_up, last = (
        pipe.put(Outgoing(REJECTED, "x", body, properties)) for body in (b"1", b"2", b"3")
    )
    given_up.cancel()
    may_open.set()
    await asyncio.gather(first, last)
    assert await bench.depth(REJECTED_QUEUE.name) == 2
    await pipe.close()
    await channel.close()


async def test_no_more_than_the_window_is_on_its_way(bench: "Bench") -> None:
    channel = await bench.publish.channel(confirms=True)
    bench.cable.latency_s = 0.1

    async def opened() -> Channel:
        return channel

    pipe = Pipe(opened, window=4)
    properties = spec.Basic.Properties(message_id="1")
    flying = [pipe.put(Outgoing(REJECTED, "x", b"{}", properties)) for _ in range(10)]
    most = 0
    while not all(future.done() for future in flying):
        most = max(most, len(channel.confirmations))
        await asyncio.sleep(0.005)
    await asyncio.gather(*flying)
    assert most == 4
    await pipe.close()
    await channel.close()
