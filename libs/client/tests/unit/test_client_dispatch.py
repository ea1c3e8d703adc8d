"""From the queue to the handlers: in order, each once, and what becomes of the ack."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tapewire.client.acks import BATCH, Acks
from tapewire.client.dispatch import WAITING, Dispatcher
from tapewire.client.handlers import Handlers
from tapewire.client.message import Message, to_message
from tapewire.contracts import RiskAlert


def alert(message_id: str, *, ack: bool = True) -> Message[Any]:
    return to_message({"type": "risk_alert", "id": message_id, "ack": ack})


class Bench:
    """A dispatcher with the server's half cut off."""

    def __init__(self) -> None:
        self.handlers = Handlers()
        self.acks = Acks()
        self.dispatcher = Dispatcher(self.handlers, self.acks, store=None, auto_ack=True)
        self.handled: list[str | None] = []
        self.frames: list[list[str]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def handle(self, message_type: str, handler: Callable[..., object]) -> None:
        self.handlers.add(message_type, handler)
        self.dispatcher.listen()

    def note(self, message: Message[Any]) -> None:
        self.handled.append(message.id)

    async def send(self, frame: dict[str, Any]) -> None:
        self.frames.append(frame["ids"])

    @property
    def acked(self) -> list[str]:
        return [message_id for ids in self.frames for message_id in ids]

    def start(self) -> None:
        self.tasks = [
            asyncio.create_task(self.dispatcher.run()),
            asyncio.create_task(self.acks.send_all(self.send, messages_per_second=1000)),
        ]

    async def settle(self) -> None:
        async with asyncio.timeout(5):
            await self.dispatcher.idle()
            await self.acks.sent()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    bench.start()
    yield bench
    for task in bench.tasks:
        task.cancel()
    await asyncio.gather(*bench.tasks, return_exceptions=True)


async def test_nothing_is_handed_on_before_there_is_a_handler(bench: Bench) -> None:
    bench.dispatcher.push(alert("a"))
    bench.dispatcher.push(alert("b"))
    await asyncio.sleep(0)
    bench.handle("*", bench.note)
    await bench.settle()
    assert bench.handled == ["a", "b"]
    assert bench.acked == ["a", "b"]


async def test_acks_of_one_turn_of_the_loop_share_a_frame(bench: Bench) -> None:
    bench.handle("*", bench.note)
    ids = [str(number) for number in range(BATCH + 7)]
    for message_id in ids:
        bench.dispatcher.push(alert(message_id))
    await bench.settle()
    assert bench.acked == ids
    assert len(bench.frames) == 2


async def test_alert_that_nobody_handles_is_not_acked(bench: Bench) -> None:
    bench.handle("market_data", bench.note)
    bench.dispatcher.push(alert("a"))
    await bench.settle()
    assert bench.acked == []
    bench.handle("risk_alert", bench.note)
    bench.dispatcher.push(alert("a"))
    await bench.settle()
    assert bench.acked == ["a"]


async def test_of_several_handlers_only_the_one_that_raised_gets_the_copy(bench: Bench) -> None:
    calls: list[str] = []

    async def first(message: Message[Any]) -> None:
        calls.append("first")

    def second(message: Message[Any]) -> None:
        calls.append("second")
        if len(calls) == 2:
            raise RuntimeError

    bench.handle("risk_alert", first)
    bench.handle("*", second)
    bench.dispatcher.push(alert("a"))
    bench.dispatcher.push(alert("a"))
    bench.dispatcher.push(alert("a"))
    await bench.settle()
    assert calls == ["first", "second", "second"]
    assert set(bench.acked) == {"a"}


async def test_handler_registered_twice_is_called_once(bench: Bench) -> None:
    bench.handle("*", bench.note)
    bench.handle("risk_alert", bench.note)
    bench.handle("risk_alert", bench.note)
    bench.dispatcher.push(alert("a"))
    await bench.settle()
    assert bench.handled == ["a"]
    assert bench.acked == ["a"]


async def test_model_stands_for_its_type_and_handlers_can_be_taken_back(bench: Bench) -> None:
    bench.handlers.add(RiskAlert, bench.note)
    bench.handlers.add("*", bench.note)
    bench.handlers.remove("*", bench.note)
    bench.handlers.remove(RiskAlert)
    bench.handlers.remove("never registered")
    assert not bench.handlers


async def test_handler_that_is_cancelled_inside_leaves_the_alert_and_harms_nothing(
    bench: Bench,
) -> None:
    async def handler(message: Message[Any]) -> None:
        if message.id == "a":
            raise asyncio.CancelledError
        bench.note(message)

    bench.handle("*", handler)
    bench.dispatcher.push(alert("a"))
    bench.dispatcher.push(alert("b"))
    await bench.settle()
    assert bench.handled == ["b"]
    assert bench.acked == ["b"]


async def test_reader_waits_while_the_handlers_are_behind(bench: Bench) -> None:
    gate = asyncio.Event()

    async def slow(message: Message[Any]) -> None:
        await gate.wait()
        bench.note(message)

    bench.handle("*", slow)
    async with asyncio.timeout(5):
        for number in range(WAITING - 1):
            await bench.dispatcher.put(alert(str(number)))
    last = asyncio.create_task(bench.dispatcher.put(alert("last")))
    bench.dispatcher.push(alert("one more"))
    await asyncio.sleep(0)
    assert not last.done()
    with bench.dispatcher.flowing():  # a handler waits for a reply that is behind in the socket
        async with asyncio.timeout(5):
            await last
            await bench.dispatcher.put(alert("reply's neighbour"))
    gate.set()
    await bench.settle()
    assert len(bench.handled) == WAITING + 2


async def test_without_handlers_the_newest_are_kept_and_the_reader_goes_on(bench: Bench) -> None:
    async with asyncio.timeout(5):
        for number in range(3 * WAITING):
            await bench.dispatcher.put(alert(str(number)))
    bench.handle("*", bench.note)
    await bench.settle()
    assert bench.handled[-1] == str(3 * WAITING - 1)
    assert len(bench.handled) < WAITING


async def test_acks_that_could_not_be_sent_go_over_the_next_connection() -> None:
    acks = Acks()
    acks.add(["a", "b"])
    sent: list[str] = []

    async def broken(frame: dict[str, Any]) -> None:
        raise ConnectionError

    async def send(frame: dict[str, Any]) -> None:
        sent.extend(frame["ids"])

    with pytest.raises(ConnectionError):
        await acks.send_all(broken, messages_per_second=20)
    acks.add(["c"])
    task = asyncio.create_task(acks.send_all(send, messages_per_second=20))
    async with asyncio.timeout(5):
        await acks.sent()
    task.cancel()
    assert sent == ["a", "b", "c"]
