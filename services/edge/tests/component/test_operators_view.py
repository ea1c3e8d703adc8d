"""`tapewire inbox` on inboxes that edges serve: it shows what there is, and takes nothing."""

import asyncio
from contextlib import suppress

import pytest

from tapewire.broker import declare, topology
from tapewire.cli.console import Failure
from tapewire.cli.inbox import listed, peeked


async def test_alerts_of_somebody_away_are_seen_and_stay_in_order(quorum_world):
    world = quorum_world
    await world.open_inbox("alice")
    raised = [await world.alert(f"{n:03}") for n in range(300)]
    for _ in range(2):
        box, alerts = await peeked(world.amqp_url, "alice", None, 256)
        assert [alert.id for alert in alerts] == raised[:256]
        assert (box.ready, box.unacked, box.consumers) == (300, 0, 0)
        assert not any(alert.shown for alert in alerts)
        await world.consumers_gone("inbox.alice")  # its connection closes by and by
    for _ in range(2):
        _, first = await peeked(world.amqp_url, "alice", None, 3)
        assert [alert.id for alert in first] == raised[:3]
        await listed(world.amqp_url, "", ["alice"])
    client = await world.client(await world.edge())
    assert await client.ids(256) == raised[:256]
    await client.send(type="ack", upTo=raised[255])
    assert await client.ids(44) == raised[256:]
    await client.send(type="ack", upTo=raised[-1])
    await client.round_trip()
    await world.empty("inbox.alice")


async def test_alerts_on_a_screen_are_told_by_the_edge_that_holds_them(quorum_world):
    world = quorum_world
    first, second = await world.edge(), await world.edge()
    a, b = await world.client(first), await world.client(second)
    raised = [await world.alert(n) for n in range(3)]
    assert await a.ids(3) == await b.ids(3) == raised
    box, alerts = await peeked(world.amqp_url, "alice", None, 20)
    assert [alert.id for alert in alerts] == raised
    assert all(alert.shown for alert in alerts)
    assert (box.ready, box.unacked, box.consumers) == (0, 3, 1)  # the active one
    assert box.holder
    assert box.oldest is not None
    await b.ack(raised[0])
    assert (await a.next("acked"))["ids"] == raised[:1]
    _, alerts = await peeked(world.amqp_url, "alice", None, 20)
    assert [alert.id for alert in alerts] == raised[1:]
    for client in (a, b):  # nothing was shown again, and nothing is relayed to who looked
        await client.quiet(0.2)


async def test_somebody_who_comes_while_it_is_looked_at_gets_everything_in_order(quorum_world):
    world = quorum_world
    edge = await world.edge()
    await world.open_inbox("alice")
    raised = [await world.alert(f"{n:02}") for n in range(30)]
    stop = asyncio.Event()

    async def keep_looking():
        while not stop.is_set():
            with suppress(Failure):  # another look, or an edge that is just opening it
                await peeked(world.amqp_url, "alice", None, 50)

    looking = [asyncio.create_task(keep_looking()) for _ in range(2)]
    for _ in range(3):
        client = await world.client(edge)
        assert await client.ids(30) == raised
        await client.socket.close()
    stop.set()
    await asyncio.gather(*looking)


async def test_a_programs_own_inbox_is_looked_at_apart(quorum_world):
    world = quorum_world
    await world.open_inbox("alice")
    await declare(world.link, [topology.own_inbox("alice", "bot.1")])
    raised = await world.alert(1)
    client = await world.client(await world.edge())
    assert await client.ids(1) == [raised]
    await client.ack(raised)
    await client.round_trip()
    await client.socket.close()
    await world.empty("inbox.alice")
    await world.consumers_gone("inbox.alice")
    _, persons = await peeked(world.amqp_url, "alice", None, 20)
    box, programs = await peeked(world.amqp_url, "alice", "bot.1", 20)
    assert persons == []
    assert [alert.id for alert in programs] == [raised]
    assert (box.user, box.client) == ("alice", "bot.1")


async def test_a_list_has_the_longest_unacknowledged_first(quorum_world):
    world = quorum_world
    edge = await world.edge()
    for user in ("alice", "bob", "zoe"):
        await world.open_inbox(user)
    await world.alert("b", user="bob")
    client = await world.client(edge)
    for n in range(2):
        await world.alert(n)
    await client.ids(2)
    found = await listed(world.amqp_url, "", ["alice", "bob", "zoe", "never-seen"])
    assert [(box.user, box.ready, box.unacked) for box in found] == [
        ("bob", 1, 0),
        ("alice", 0, 2),
        ("zoe", 0, 0),
    ]
    bob, alice, zoe = found
    assert bob.oldest < alice.oldest
    assert zoe.oldest is None
    assert bob.holder is None
    assert alice.holder is not None


async def test_who_has_no_inbox_is_told_so(world):
    with pytest.raises(Failure, match="nobody has no inbox") as failure:
        await peeked(world.amqp_url, "nobody", None, 20)
    assert failure.value.code == 4
