"""The short way on a real broker: beside aiormq on one connection, on both versions."""

import asyncio

import pytest
from aiormq import spec
from aiormq.exceptions import AMQPError, ChannelNotFoundEntity

from tapewire.broker import CONNECTION_ERRORS

BIG = b"0123456789abcdef" * 20_000  # 320 KB: three frames


async def own_queue(tap):
    told = await tap.ask(spec.Queue.Declare(queue="", exclusive=True))
    return told.queue


async def test_bodies_of_every_size_come_whole_and_in_order(bench):
    tap = await bench.consume.tap()
    queue = await own_queue(tap)
    got: asyncio.Queue[bytes] = asyncio.Queue()
    await tap.consume(queue, lambda m: got.put_nowait(m.body), tag="sizes", no_ack=True)
    bodies = [b"", b"x", BIG, b"small", BIG + b"!", b""]
    for number, body in enumerate(bodies):
        await bench.publisher.publish("", queue, body, type="t", message_id=str(number))
    async with asyncio.timeout(30):
        assert [await got.get() for _ in bodies] == bodies


async def test_refused_question_closes_its_channel_alone(bench):
    kept, refused = await bench.topology.tap(), await bench.topology.tap()
    answers = refused.ask_all(
        [
            spec.Queue.Declare(queue="there-is-none", passive=True),
            spec.Basic.Qos(prefetch_count=1),
        ]
    )
    for answer in answers:
        with pytest.raises(ChannelNotFoundEntity):
            await answer
    assert refused.is_closed
    with pytest.raises(CONNECTION_ERRORS):
        refused.ask(spec.Basic.Qos(prefetch_count=1))
    await kept.ask(spec.Basic.Qos(prefetch_count=1))
    async with asyncio.timeout(30):  # aiormq comes to know it, too, and the number is free again
        while not refused.channel.is_closed:
            await asyncio.sleep(0.01)
    again = await bench.topology.tap()
    await again.ask(spec.Basic.Qos(prefetch_count=1))


async def test_many_questions_refused_in_one_read_end_no_connection(bench):
    """aiormq would use a channel's number again whose close it had not answered."""
    lasting = await bench.topology.tap()
    for _ in range(5):
        taps = [await bench.topology.tap() for _ in range(60)]
        asked = [tap.ask(spec.Queue.Declare(queue="there-is-none", passive=True)) for tap in taps]
        for answer in asked:
            with pytest.raises(ChannelNotFoundEntity):
                await answer
    assert not lasting.is_closed
    await lasting.ask(spec.Basic.Qos(prefetch_count=1))


async def test_questions_of_aiormq_and_ours_do_not_mix_up_their_answers(bench):
    tap = await bench.topology.tap()
    queue = await own_queue(tap)
    for _ in range(5):
        assert (await tap.channel.queue_declare(queue, passive=True)).queue == queue
        declared, qos = tap.ask_all(
            [spec.Queue.Declare(queue=queue, passive=True), spec.Basic.Qos(prefetch_count=2)]
        )
        assert (await declared).queue == queue
        assert await qos is None  # what says nothing is not decoded


async def test_consumer_that_the_broker_cancels_is_told(bench):
    tap = await bench.consume.tap()
    queue = await own_queue(tap)
    cancelled = asyncio.Event()
    tap.channel.on_consumer_cancel_callbacks.add(lambda _: cancelled.set())
    await tap.consume(queue, lambda _: None, tag="to be cancelled")
    other = await bench.consume.tap()
    await other.channel.queue_delete(queue)
    async with asyncio.timeout(30):
        await cancelled.wait()
    await tap.ask(spec.Basic.Qos(prefetch_count=1))  # the channel goes on


async def test_abandoned_channel_is_closed_and_its_deliveries_come_again(bench):
    first, second = await bench.consume.tap(), await bench.consume.tap()
    queue = await own_queue(first)
    await bench.publisher.publish("", queue, b"once more", type="t", message_id="1")
    got: asyncio.Queue[bool] = asyncio.Queue()
    await first.consume(queue, lambda m: got.put_nowait(m.redelivered), tag="first")
    async with asyncio.timeout(30):
        assert await got.get() is False
        first.abandon()
        await second.consume(queue, lambda m: got.put_nowait(m.redelivered), tag="second")
        assert await got.get() is True
        while not first.channel.is_closed:
            await asyncio.sleep(0.01)


async def test_channel_is_abandoned_once_even_if_aiormq_gave_it_up(bench):
    tap, kept = await bench.topology.tap(), await bench.topology.tap()
    queue = await own_queue(tap)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await tap.channel.basic_get(queue)
    tap.abandon()
    async with asyncio.timeout(30):
        while not tap.channel.is_closed:
            await asyncio.sleep(0.01)
    for _ in range(3):
        await kept.ask(spec.Basic.Qos(prefetch_count=1))


async def test_lost_connection_fails_what_was_asked(bench):
    tap = await bench.topology.tap()
    bench.cable.cut()
    with pytest.raises((AMQPError, *CONNECTION_ERRORS)):
        async with asyncio.timeout(30):
            await tap.ask(spec.Basic.Qos(prefetch_count=1))
    assert tap.is_closed
