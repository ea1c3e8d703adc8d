"""Events reach the ingest's queue on a real broker, or its HTTP door, or the caller hears so."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from aiormq.abc import DeliveredMessage

from tapewire.broker import Link, Role, declare
from tapewire.broker.topology import INGEST, INGEST_INBOX, Exchange
from tapewire.client import EventPublisher, InvalidEvent, NotConfirmed, NotPermitted
from tapewire.client.errors import ClientError
from tapewire.fleet.cable import Cable


class Inbox:
    """The ingest's queue, as its consumer sees it."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def declare(self) -> None:
        await declare(self._link, [Exchange(INGEST), INGEST_INBOX])

    async def all(self) -> list[dict[str, Any]]:
        """Return whatever is there."""
        channel = await self._link.channel(timeout_s=10)
        waiting = await channel.queue_declare(INGEST_INBOX.name, passive=True)
        await channel.close()
        return await self.take(waiting.message_count or 0)

    async def take(self, count: int) -> list[dict[str, Any]]:
        """Return as many events, and no more are there."""
        taken: list[dict[str, Any]] = []
        enough = asyncio.Event()

        async def note(message: DeliveredMessage) -> None:
            taken.append(json.loads(message.body))
            assert message.header.properties.message_type == taken[-1]["type"]
            assert message.header.properties.message_id == taken[-1]["id"]
            if len(taken) >= count:
                enough.set()

        channel = await self._link.channel(timeout_s=10)
        waiting = await channel.queue_declare(INGEST_INBOX.name, passive=True)
        await channel.basic_consume(INGEST_INBOX.name, note, no_ack=True)
        async with asyncio.timeout(10):
            await enough.wait()
        await channel.close()
        assert waiting.message_count == count
        return taken


@pytest.fixture
async def inbox(broker_url: str) -> AsyncIterator[Inbox]:
    link = Link(broker_url, Role.TOPOLOGY, name="test")
    await link.start()
    yield Inbox(link)
    await link.close()


@pytest.fixture
async def cable(broker_url: str) -> AsyncIterator[Cable]:
    """The publisher's way to the broker."""
    cable = Cable(broker_url)
    await cable.start()
    yield cable
    await cable.stop()


async def test_confirmed_events_are_in_the_queue_in_order(broker_url: str, inbox: Inbox) -> None:
    await inbox.declare()
    async with EventPublisher(broker_url) as publisher:
        session = publisher.session("s-17", user="alice")
        ids = [
            await session.emit_session_started(loss_limit=500),
            await session.emit_trade_executed("SPY", "buy", quantity=10, price="512.31"),
            await publisher.emit_market_data("SPY", 512.31),
        ]
        ids += await asyncio.gather(
            *(session.emit_status_update(-number, total_trades=number) for number in range(50))
        )
    taken = await inbox.take(53)
    assert [event["id"] for event in taken] == ids
    assert taken[1]["userId"] == "alice"
    assert taken[1]["price"] == 512.31


async def test_event_is_not_confirmed_where_no_ingest_listens(
    broker_url: str, inbox: Inbox
) -> None:
    async with EventPublisher(broker_url, deadline_s=0.5) as publisher:
        with pytest.raises(NotConfirmed) as caught:
            await publisher.emit_system_notification("Hello", "there")
        await inbox.declare()
        again = await publisher.publish(caught.value.event, deadline_s=5)
    assert [event["id"] for event in await inbox.take(1)] == [again]


async def test_event_waits_for_a_broker_that_comes_late(
    unused_tcp_port: int, broker_url: str, inbox: Inbox
) -> None:
    await inbox.declare()
    away = f"amqp://127.0.0.1:{unused_tcp_port}/"
    async with EventPublisher(f"{away},{broker_url}", deadline_s=10) as publisher:
        event_id = await publisher.emit_system_notification("Hello", "there")
    assert [event["id"] for event in await inbox.take(1)] == [event_id]


async def test_publisher_says_so_by_its_deadline_while_the_broker_is_away(
    unused_tcp_port: int,
) -> None:
    url = f"amqp://127.0.0.1:{unused_tcp_port}/"
    async with EventPublisher(url, deadline_s=0.3) as publisher, asyncio.timeout(10):
        with pytest.raises(NotConfirmed, match="away"):
            await publisher.emit_system_notification("Hello", "there")


async def test_publisher_says_so_by_its_deadline_where_the_connection_is_dead_and_looks_alive(
    broker_url: str, inbox: Inbox, cable: Cable
) -> None:
    await inbox.declare()
    async with EventPublisher(cable.url, deadline_s=0.5) as publisher, asyncio.timeout(60):
        await publisher.emit_system_notification("Hello", "there", deadline_s=20)
        cable.freeze()
        with pytest.raises(NotConfirmed) as caught:
            await publisher.emit_system_notification("Are you", "there?")
        cable.cut()
        again = await publisher.publish(caught.value.event, deadline_s=20)
        assert again == caught.value.event.id


async def test_confirmed_means_in_the_queue_however_often_the_connection_breaks(
    broker_url: str, inbox: Inbox, cable: Cable
) -> None:
    await inbox.declare()
    confirmed: list[str] = []

    async def emit(publisher: EventPublisher, number: int) -> None:
        with suppress(NotConfirmed):
            notice = publisher.emit_system_notification("Hello", f"{number}", deadline_s=1)
            confirmed.append(await notice)

    async with EventPublisher(cable.url) as publisher, asyncio.timeout(90):
        for batch in range(8):
            emitting = [asyncio.create_task(emit(publisher, n)) for n in range(40)]
            await asyncio.sleep(0.002 * batch)  # the cut strikes elsewhere each time
            cable.cut()
            await asyncio.gather(*emitting)  # each ends: nothing hangs
        await emit(publisher, 0)
    assert len(confirmed) > 40
    there = {event["id"] for event in await inbox.all()}
    assert set(confirmed) <= there


class Door:
    """Answers each post with the next scripted status and body; notes what was posted."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, object]]] = []
        self.posted: list[tuple[str, dict[str, object]]] = []  # Authorization, event
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):  # the client's deadline came
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        headers = {name.lower(): value for name, value in headers.items()}
        body = await reader.readexactly(int(headers["content-length"]))
        self.posted.append((headers["authorization"], json.loads(body)))
        status, answer = self.answers.pop(0)
        if status:
            text = json.dumps(answer)
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\nConnection: close\r\n"
                f"Retry-After: 0\r\n\r\n{text}".encode()
            )
            await writer.drain()


OK = {"results": [{"index": 0, "status": "accepted", "id": "e-1", "errors": []}]}


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = Door()
    server = await asyncio.start_server(door.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    door.url = f"http://{host}:{port}"
    yield door
    server.close()


async def test_post_is_repeated_with_the_same_id_until_it_is_confirmed(door: Door) -> None:
    door.answers = [(503, {"code": "unavailable", "message": "broker away"}), (0, {}), (200, OK)]
    async with EventPublisher(door.url, token="t-1") as publisher:
        event_id = await publisher.session("s-17", user="alice").emit_status_update(-1)
    assert [event["id"] for _, event in door.posted] == [event_id] * 3
    assert {token for token, _ in door.posted} == {"Bearer t-1"}


async def test_post_that_is_never_confirmed_says_why(door: Door) -> None:
    door.answers = [(503, {"code": "unavailable", "message": "broker away"})] * 100
    async with EventPublisher(door.url, token="t-1", deadline_s=3) as publisher:
        with pytest.raises(NotConfirmed, match="broker away") as caught:
            await publisher.emit_system_notification("Hello", "there")
    assert caught.value.event.id == door.posted[0][1]["id"]


async def test_ingest_that_finds_a_wrong_field_is_heard(door: Door) -> None:
    errors = [{"field": "symbol", "message": "unknown here"}]
    door.answers = [(422, {"code": "invalid_event", "message": "no", "errors": errors})]
    async with EventPublisher(door.url, token="t-1") as publisher:
        with pytest.raises(InvalidEvent) as caught:
            await publisher.emit_market_data("SPY", 1)
    assert [error.field for error in caught.value.errors] == ["symbol"]


async def test_refused_token_is_fetched_anew_once(door: Door) -> None:
    tokens = iter(["old", "new"])
    refusal = (401, {"code": "invalid_token", "message": "expired"})
    door.answers = [refusal, (200, OK), (200, OK), refusal]
    async with EventPublisher(door.url, token=lambda: next(tokens)) as publisher:
        await publisher.emit_market_data("SPY", 1)
        await publisher.emit_market_data("SPY", 2)
    assert [token for token, _ in door.posted] == ["Bearer old", "Bearer new", "Bearer new"]
    async with EventPublisher(door.url, token="t-1") as publisher:
        with pytest.raises(NotPermitted, match="expired"):
            await publisher.emit_market_data("SPY", 3)


async def test_wrong_url_is_an_error_and_not_a_retry(door: Door) -> None:
    door.answers = [(404, {})]
    async with EventPublisher(door.url, token="t-1") as publisher:
        with pytest.raises(ClientError, match="404"):
            await publisher.emit_market_data("SPY", 1)
    assert len(door.posted) == 1
