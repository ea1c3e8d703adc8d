"""A publisher says when the broker has a message, and never that it has one when it has not."""

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from aiormq.exceptions import AMQPError

from tapewire.broker import Link, NotConfirmed, Publisher, Role, Unroutable, declare
from tapewire.broker.topology import (
    ALERTS,
    INGEST,
    INGEST_INBOX,
    REJECTED,
    REJECTED_QUEUE,
    Queue,
    inbox,
    risk_shard,
)

if TYPE_CHECKING:
    from aiormq import Channel

    from .conftest import Bench


async def test_publish_returns_once_the_queue_has_the_message(bench: "Bench") -> None:
    await bench.publisher.publish(INGEST, "x", b"{}", type="t", message_id="1", mandatory=True)
    assert await bench.depth(INGEST_INBOX.name) == 1


async def test_mandatory_message_without_a_queue_is_unroutable(bench: "Bench") -> None:
    with pytest.raises(Unroutable):
        await bench.publisher.publish("", "nowhere", b"", type="t", message_id="1", mandatory=True)


async def test_missing_exchange_is_not_confirmed_and_the_next_publish_works(
    bench: "Bench",
) -> None:
    with pytest.raises(NotConfirmed, match="nothing-here"):
        await bench.publisher.publish("nothing-here", "x", b"", type="t", message_id="1")
    await bench.publisher.publish(INGEST, "x", b"{}", type="t", message_id="1", mandatory=True)


async def test_same_id_twice_in_flight_is_confirmed_twice(bench: "Bench") -> None:
    await asyncio.gather(
        *(
            bench.publisher.publish(INGEST, "x", b"{}", type="t", message_id="1", mandatory=True)
            for _ in range(3)
        )
    )
    assert await bench.depth(INGEST_INBOX.name) == 3


async def test_messages_with_the_same_id_keep_their_place(bench: "Bench") -> None:
    """Two users' alerts may have the same id; neither's wait for the other's confirm."""
    ids = ["same" if n % 3 else str(n) for n in range(60)]
    await asyncio.gather(
        *(
            bench.publisher.publish(REJECTED, "x", str(n).encode(), type="t", message_id=name)
            for n, name in enumerate(ids)
        )
    )
    channel = await bench.consume.channel()
    arrived = [await channel.basic_get(REJECTED_QUEUE.name, no_ack=True) for _ in ids]
    assert [int(message.body) for message in arrived] == list(range(60))
    await channel.close()


async def test_publishing_while_the_broker_is_away_fails_by_the_deadline(
    unused_tcp_port: int,
) -> None:
    link = Link(f"amqp://127.0.0.1:{unused_tcp_port}/", Role.PUBLISH, name="test")
    await link.start()
    publisher = Publisher(link, deadline_s=0.3)
    with pytest.raises(NotConfirmed, match="away"):
        await publisher.publish(INGEST, "x", b"{}", type="t", message_id="1")
    await link.close()


async def test_refused_by_a_full_queue_is_not_confirmed(bench: "Bench") -> None:
    full = Queue("full", {"x-max-length": 1, "x-overflow": "reject-publish"})
    await declare(bench.topology, [full])
    await bench.publisher.publish("", "full", b"1", type="t", message_id="1", mandatory=True)
    with pytest.raises(NotConfirmed):
        await bench.publisher.publish("", "full", b"2", type="t", message_id="2", mandatory=True)


async def test_a_lost_connection_is_not_confirmed_and_heals(bench: "Bench") -> None:
    await bench.publisher.publish(INGEST, "x", b"{}", type="t", message_id="1")
    bench.cable.cut()
    publishing = [
        bench.publisher.publish(INGEST, "x", b"{}", type="t", message_id=str(n)) for n in range(5)
    ]
    outcomes = await asyncio.gather(*publishing, return_exceptions=True)
    assert all(o is None or isinstance(o, NotConfirmed) for o in outcomes)
    await bench.publisher.publish(INGEST, "x", b"{}", type="t", message_id="last")
    assert bench.publish.reconnects == 1


@pytest.mark.parametrize("confirm_lost", [False, True], ids=["amid the frame", "confirm lost"])
async def test_a_connection_cut_amid_a_publish_confirms_nothing(
    bench: "Bench", *, confirm_lost: bool
) -> None:
    """Half a frame is no message; one whose confirm got lost is there, and is not claimed to be."""
    await bench.publisher.publish(INGEST, "x", b"{}", type="t", message_id="1")
    publish = re.compile(rb"\x00\x3c\x00\x28.*ingest", re.DOTALL)
    cut = asyncio.create_task(bench.cable.cut_at(publish, whole=confirm_lost, within_s=60))
    await asyncio.sleep(0)  # it lies in wait
    with pytest.raises(NotConfirmed):
        await bench.publisher.publish(INGEST, "x", b"{}", type="t", message_id="2")
    await cut
    await bench.publisher.publish(INGEST, "x", b"{}", type="t", message_id="3")
    arrived = 0
    async with asyncio.timeout(60):
        while not arrived:
            with suppress(RuntimeError, AMQPError, OSError):  # the look's connection was cut, too
                arrived = await bench.depth(INGEST_INBOX.name)
    assert arrived == 2 + confirm_lost


async def test_opening_that_takes_longer_than_a_deadline_serves_the_next_message(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.publish.connected()
    open_channel, openings = bench.publish.channel, []

    async def opening(**how: Any) -> "Channel":
        openings.append(how)
        return await open_channel(**how)

    monkeypatch.setattr(bench.publish, "channel", opening)
    bench.cable.latency_s = 0.2  # opening: two round trips of 0.4 s at least
    publisher = Publisher(bench.publish, deadline_s=60)
    with pytest.raises(NotConfirmed):
        await publisher.publish(INGEST, "x", b"{}", type="t", message_id="1", deadline_s=0.1)
    await publisher.publish(INGEST, "x", b"{}", type="t", message_id="1")
    assert len(openings) == 1


async def test_an_alert_for_a_user_without_inbox_waits_in_the_mailroom(bench: "Bench") -> None:
    key = "alice.s-1.loss_limit.critical"
    await bench.publisher.publish(ALERTS, key, b"{}", type="risk_alert", message_id="1")
    assert await bench.depth("mailroom") == 1
    await declare(bench.topology, [inbox("alice")])
    await bench.publisher.publish(ALERTS, key, b"{}", type="risk_alert", message_id="2")
    assert await bench.depth("mailroom") == 1
    assert await bench.depth("inbox.alice") == 1
    await bench.publisher.publish(
        ALERTS, "alice.s-1.loss_limit.warning", b"{}", type="risk_alert", message_id="3"
    )
    assert await bench.depth("inbox.alice") == 1


async def test_events_of_a_session_share_a_shard(bench: "Bench") -> None:
    shards = [risk_shard(n) for n in range(4)]
    await declare(bench.topology, shards)
    for session in range(20):
        for kind in ("session.status", "trade.executed", "command.emergency_stop_requested"):
            await bench.publisher.publish(
                "tw.events",
                f"alice.s-{session}.{kind}",
                b"{}",
                type="t",
                message_id=f"{session}{kind}",
            )
    depths = [await bench.depth(shard.name) for shard in shards]
    assert sum(depths) == 60
    assert all(depth % 3 == 0 for depth in depths)
    assert sum(depth > 0 for depth in depths) > 1
