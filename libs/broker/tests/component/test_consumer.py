"""A consumer settles in order, and what it could not handle comes again in order."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from tapewire.broker import (
    Caller,
    CallTimedOut,
    Consumer,
    Delivery,
    Publisher,
    Settlement,
    responder,
)
from tapewire.broker.topology import DESK_SNAPSHOT, INGEST, INGEST_INBOX, MARKET_SNAPSHOT

if TYPE_CHECKING:
    from .conftest import Bench

MESSAGES = 60


class DeadLetter(Exception):
    settlement = Settlement.DEAD_LETTER


class Recorder:
    """Handles deliveries as told, and remembers them."""

    def __init__(
        self, *, fail_once: frozenset[int] = frozenset(), bad: int = -1, pace_s: float = 0
    ) -> None:
        self.handled: list[int] = []
        self.failed: set[int] = set()
        self._fail_once = fail_once
        self._bad = bad
        self._pace_s = pace_s
        self.begun = asyncio.Event()
        self.done = asyncio.Event()

    async def __call__(self, delivery: Delivery) -> Settlement:
        self.begun.set()
        number = int(delivery.message_id)
        if number in self._fail_once and number not in self.failed:
            self.failed.add(number)
            raise RuntimeError("not today")
        if number == self._bad:
            raise DeadLetter("never")
        await asyncio.sleep(self._pace_s)
        self.handled.append(number)
        if number == MESSAGES - 1:
            self.done.set()
        return Settlement.ACK


async def fill(publisher: Publisher) -> None:
    for number in range(MESSAGES):
        await publisher.publish(INGEST, "x", b"{}", type="t", message_id=str(number))


@pytest.mark.parametrize("concurrency", [1, 8])
async def test_every_message_is_handled_in_order(bench: "Bench", concurrency: int) -> None:
    await fill(bench.publisher)
    recorder = Recorder()
    consumer = Consumer(bench.consume, INGEST_INBOX, recorder, prefetch=16, concurrency=concurrency)
    await consumer.start()
    await asyncio.wait_for(recorder.done.wait(), 20)
    assert consumer.health() is None
    await consumer.drain()
    assert recorder.handled == list(range(MESSAGES))
    assert await bench.depth(INGEST_INBOX.name) == 0


async def test_acks_wait_for_one_another_but_not_until_the_broker_has_no_more_room(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tapewire.broker.consumer.ACK_PACE_S", 3600)
    await fill(bench.publisher)
    recorder = Recorder()
    consumer = Consumer(bench.consume, INGEST_INBOX, recorder, prefetch=16)
    await consumer.start()
    await asyncio.wait_for(recorder.done.wait(), 20)
    await consumer.drain()  # acknowledges the last few
    assert recorder.handled == list(range(MESSAGES))
    assert await bench.depth(INGEST_INBOX.name) == 0


async def test_a_failed_delivery_and_all_behind_it_come_again_in_order(bench: "Bench") -> None:
    await fill(bench.publisher)
    recorder = Recorder(fail_once=frozenset({10, 30}))
    consumer = Consumer(bench.consume, INGEST_INBOX, recorder, prefetch=16)
    await consumer.start()
    await asyncio.wait_for(recorder.done.wait(), 20)
    await consumer.drain()
    assert recorder.failed == {10, 30}
    assert recorder.handled == list(range(MESSAGES))
    assert await bench.depth(INGEST_INBOX.name) == 0


async def test_what_can_never_be_handled_is_dead_lettered_and_stops_nothing(
    bench: "Bench",
) -> None:
    await fill(bench.publisher)
    recorder = Recorder(bad=7)
    consumer = Consumer(bench.consume, INGEST_INBOX, recorder, prefetch=16)
    await consumer.start()
    await asyncio.wait_for(recorder.done.wait(), 20)
    await consumer.drain()
    assert recorder.handled == [n for n in range(MESSAGES) if n != 7]
    async with asyncio.timeout(10):
        while await bench.depth("dead") != 1:
            await asyncio.sleep(0.05)


async def test_drain_settles_what_has_begun_and_leaves_the_rest(bench: "Bench") -> None:
    await fill(bench.publisher)
    begun = asyncio.Event()
    finish = asyncio.Event()
    handled: list[str] = []

    async def slow(delivery: Delivery) -> Settlement:
        begun.set()
        await finish.wait()
        handled.append(delivery.message_id)
        return Settlement.ACK

    consumer = Consumer(bench.consume, INGEST_INBOX, slow, prefetch=16)
    await consumer.start()
    await asyncio.wait_for(begun.wait(), 10)
    draining = asyncio.create_task(consumer.drain())
    finish.set()
    await asyncio.wait_for(draining, 10)
    async with asyncio.timeout(10):
        while await bench.depth(INGEST_INBOX.name) != MESSAGES - len(handled):
            await asyncio.sleep(0.05)
    assert 1 <= len(handled) < MESSAGES


async def test_consuming_goes_on_in_order_after_the_connection_was_lost(bench: "Bench") -> None:
    recorder = Recorder(pace_s=0.005)
    consumer = Consumer(bench.consume, INGEST_INBOX, recorder, prefetch=16)
    await fill(bench.publisher)
    await consumer.start()
    await asyncio.wait_for(recorder.begun.wait(), 10)
    bench.cable.cut()
    await asyncio.wait_for(recorder.done.wait(), 20)
    await consumer.stop()
    assert list(dict.fromkeys(recorder.handled)) == list(range(MESSAGES))
    assert len(recorder.handled) > MESSAGES  # the cut came in the middle: some came twice


async def test_a_request_is_answered(bench: "Bench") -> None:
    async def answer(body: bytes) -> bytes:
        return body.upper()

    answering = responder(bench.consume, bench.publisher, DESK_SNAPSHOT, answer)
    await answering.start()
    assert await Caller(bench.publish).call(DESK_SNAPSHOT.name, b"hello", timeout_s=5) == b"HELLO"
    await answering.stop()


async def test_a_request_that_nobody_answers_times_out(bench: "Bench") -> None:
    with pytest.raises(CallTimedOut):
        await Caller(bench.publish).call(MARKET_SNAPSHOT.name, b"?", timeout_s=0.2)
