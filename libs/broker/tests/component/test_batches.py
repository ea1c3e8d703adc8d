"""A batch consumer handles what has arrived at once, and nothing ahead of what failed."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tapewire.broker import BatchConsumer, Delivery, Pace, Publisher, Settlement
from tapewire.broker.topology import (
    DEAD_QUEUE,
    INGEST,
    INGEST_INBOX,
    REJECTED,
    REJECTED_QUEUE,
)

if TYPE_CHECKING:
    from .conftest import Bench

MESSAGES = 60


class Recorder:
    """Handles batches as told, and remembers them."""

    def __init__(
        self,
        *,
        fail_once: frozenset[int] = frozenset(),
        answers: dict[int, Settlement] | None = None,
    ) -> None:
        self.batches: list[list[int]] = []
        self.failed: set[int] = set()
        self._fail_once = fail_once
        self._answers = answers or {}
        self.done = asyncio.Event()
        self.hold = asyncio.Event()
        self.hold.set()

    @property
    def handled(self) -> list[int]:
        return [number for batch in self.batches for number in batch]

    async def __call__(self, batch: Sequence[Delivery]) -> Sequence[Settlement]:
        await self.hold.wait()
        numbers = [int(delivery.message_id) for delivery in batch]
        for number in numbers:
            if number in self._fail_once and number not in self.failed:
                self.failed.add(number)
                raise RuntimeError("not today")
        settlements = [self._answers.pop(n, Settlement.ACK) for n in numbers]
        if Settlement.REQUEUE in settlements:
            numbers = numbers[: settlements.index(Settlement.REQUEUE)]
        self.batches.append(numbers)
        if MESSAGES - 1 in numbers:
            self.done.set()
        return settlements


async def fill(publisher: Publisher, begin: int = 0, end: int = MESSAGES) -> None:
    for number in range(begin, end):
        await publisher.publish(INGEST, "x", b"{}", type="t", message_id=str(number))


async def play(bench: "Bench", recorder: Recorder) -> None:
    """Consume a queue that was filled before."""
    consumer = BatchConsumer(bench.consume, INGEST_INBOX, recorder, prefetch=16)
    await consumer.start()
    async with asyncio.timeout(60):
        await recorder.done.wait()
    await consumer.drain()
    await until_depth(bench, INGEST_INBOX.name, 0)


async def until_depth(bench: "Bench", queue: str, depth: int) -> None:
    """Wait for a queue's depth: requeueing and dead-lettering take the broker a moment."""
    async with asyncio.timeout(60):
        while await bench.depth(queue) != depth:
            await asyncio.sleep(0.01)


async def until_prefetched(bench: "Bench") -> None:
    """Wait until the consumer holds as much as it may."""
    await until_depth(bench, INGEST_INBOX.name, MESSAGES - 16)


async def test_what_has_arrived_is_handled_at_once_in_order(bench: "Bench"):
    recorder = Recorder()
    recorder.hold.clear()
    await fill(bench.publisher)
    playing = asyncio.create_task(play(bench, recorder))
    await until_prefetched(bench)
    recorder.hold.set()
    await playing
    assert recorder.handled == list(range(MESSAGES))
    assert 1 < max(map(len, recorder.batches)) <= 16


async def test_nothing_is_handled_ahead_of_a_batch_that_failed(bench: "Bench"):
    recorder = Recorder(fail_once=frozenset({0, 17, 40}))
    await fill(bench.publisher)
    await play(bench, recorder)
    assert recorder.failed == {0, 17, 40}
    assert recorder.handled == list(range(MESSAGES))


async def test_the_first_requeue_of_a_batch_ends_it(bench: "Bench"):
    recorder = Recorder(answers={5: Settlement.REQUEUE, 30: Settlement.DEAD_LETTER})
    await fill(bench.publisher)
    await play(bench, recorder)
    assert recorder.handled == list(range(MESSAGES))
    await until_depth(bench, DEAD_QUEUE.name, 1)


async def test_what_is_not_settled_when_the_connection_breaks_comes_again(bench: "Bench"):
    recorder = Recorder()
    recorder.hold.clear()
    await fill(bench.publisher)
    playing = asyncio.create_task(play(bench, recorder))
    await until_prefetched(bench)
    bench.cable.cut()
    recorder.hold.set()
    await playing
    assert list(dict.fromkeys(recorder.handled)) == list(range(MESSAGES))


async def test_drain_leaves_what_was_not_begun_in_the_queue(bench: "Bench"):
    recorder = Recorder()
    recorder.hold.clear()
    consumer = BatchConsumer(bench.consume, INGEST_INBOX, recorder, prefetch=16)
    await fill(bench.publisher)
    await consumer.start()
    await until_prefetched(bench)
    draining = asyncio.create_task(consumer.drain())
    await asyncio.sleep(0)
    recorder.hold.set()
    await draining
    await until_depth(bench, INGEST_INBOX.name, MESSAGES - len(recorder.handled))


async def test_a_batch_waits_for_its_pace_unless_it_is_full_or_something_urgent_comes(
    bench: "Bench",
):
    recorder = Recorder()
    pace = Pace(3600, lambda delivery: delivery.message_id == str(MESSAGES - 1))
    consumer = BatchConsumer(bench.consume, INGEST_INBOX, recorder, prefetch=16, pace=pace)
    await consumer.start()
    async with asyncio.timeout(60):
        await fill(bench.publisher, 0, 1)
        while not recorder.batches:  # after a quiet while it is taken at once
            await asyncio.sleep(0.01)
        await fill(bench.publisher, 1)
        await recorder.done.wait()
    await consumer.drain()
    assert [len(batch) for batch in recorder.batches] == [1, 16, 16, 16, 11]
    assert recorder.handled == list(range(MESSAGES))


async def test_consumers_that_share_a_pace_take_their_batches_together(bench: "Bench"):
    here, there = Recorder(), Recorder()
    pace = Pace(3600, lambda delivery: delivery.message_id == str(MESSAGES - 1))
    consumers = [
        BatchConsumer(bench.consume, queue, recorder, prefetch=2 * MESSAGES, pace=pace)
        for queue, recorder in ((INGEST_INBOX, here), (REJECTED_QUEUE, there))
    ]
    for consumer in consumers:
        await consumer.start()
    await bench.publisher.publish(INGEST, "x", b"{}", type="t", message_id="0")
    await bench.publisher.publish(REJECTED, "x", b"{}", type="t", message_id="1")
    await bench.publisher.publish(REJECTED, "x", b"{}", type="t", message_id="2")
    await until_depth(bench, REJECTED_QUEUE.name, 0)  # they are with the consumer
    await bench.publisher.publish(INGEST, "x", b"{}", type="t", message_id=str(MESSAGES - 1))
    async with asyncio.timeout(60):
        await here.done.wait()
    for consumer in consumers:
        await consumer.drain()
    assert here.handled == [0, MESSAGES - 1]
    assert there.handled == [1, 2]


async def test_drain_does_not_wait_for_the_pace(bench: "Bench"):
    recorder = Recorder()
    pace = Pace(3600, lambda _: False)
    consumer = BatchConsumer(bench.consume, INGEST_INBOX, recorder, prefetch=16, pace=pace)
    await consumer.start()
    await fill(bench.publisher)
    await until_depth(bench, INGEST_INBOX.name, 0)
    async with asyncio.timeout(60):
        await consumer.drain()
    await until_depth(bench, INGEST_INBOX.name, MESSAGES - len(recorder.handled))
    assert recorder.handled == list(range(len(recorder.handled)))
