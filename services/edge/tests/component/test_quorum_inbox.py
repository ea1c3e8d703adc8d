"""The order of quorum inboxes, on both broker versions, when their holder goes."""

import asyncio
import os
import signal

import pytest

from tapewire.edge.mailbox import attaching, handover, succession
from tapewire.edge.mailbox.state import State


async def test_unacked_alerts_come_again_in_order_after_an_orderly_end(quorum_world):
    world = quorum_world
    first, second = await world.edge(), await world.edge()
    client = await world.client(first)
    raised = [await world.alert(f"{n:03}") for n in range(300)]
    assert await client.ids(256) == raised[:256]  # the window
    await client.ack(raised[7], raised[100])
    assert await client.ids(2) == raised[256:258]
    await client.socket.close()
    again = await world.client(second)
    left = [one for one in raised if one not in (raised[7], raised[100])]
    got = []
    while len(got) < len(left):
        got += await again.ids(1)
        if len(got) % 3 == 0:
            await again.ack(got[-1])
    assert got == left
    await again.send(type="ack", upTo=left[-1])
    await again.round_trip()
    await again.socket.close()
    await world.empty("inbox.alice")


async def test_holder_is_killed_and_the_other_goes_on_in_order(quorum_world):
    world = quorum_world
    second = await world.edge()
    process, first = await world.edge_process()
    a = await world.client(first)
    b = await world.client(second)
    before = [await world.alert(n) for n in range(30)]
    assert await a.ids(30) == await b.ids(30) == before
    await b.ack(before[3])
    assert (await a.next("acked"))["ids"] == [before[3]]
    os.kill(process.pid, signal.SIGKILL)
    after = [await world.alert(n) for n in range(30, 40)]
    assert await b.ids(10) == after
    await b.quiet(0.2)
    late = await world.client(second)
    assert await late.ids(39) == [one for one in before + after if one != before[3]]
    await b.send(type="ack", upTo=after[-1])
    await b.round_trip()
    await b.socket.close()
    await late.socket.close()
    await world.empty("inbox.alice")


async def test_only_edge_is_killed_and_the_next_one_goes_on_in_order(quorum_world):
    world = quorum_world
    process, first = await world.edge_process()
    a = await world.client(first)
    raised = [await world.alert(f"{n:03}") for n in range(200)]
    assert await a.ids(200) == raised
    os.kill(process.pid, signal.SIGKILL)
    await a.closed()
    b = await world.client(await world.edge())
    assert await b.ids(200) == raised


AT_ONCE = 10  # open alerts: more than 32 do not come back in order from 3.10 (ADR 7)


async def fired(world, since: int) -> list[str]:
    """Alerts raised while the test goes on."""
    return [await world.alert(f"{n:04}") for n in range(since, since + AT_ONCE)]


@pytest.fixture
def patient(monkeypatch):
    """A new holder waits for the last one's word for longer than a test may take."""
    monkeypatch.setattr(succession, "SUCCEED_WITHIN_S", 3600.0)


async def test_holder_that_was_killed_is_not_waited_for(quorum_world, patient):
    await goes_on_after_a_kill(quorum_world)


async def test_killed_holder_of_a_classic_inbox_is_not_waited_for(world, patient):
    """The broker does not count what such a one held; that its edge is gone, it tells."""
    await goes_on_after_a_kill(world)


async def goes_on_after_a_kill(world) -> None:
    process, first = await world.edge_process()
    second = await world.edge()
    a = await world.client(first)
    b = await world.client(second)
    raised = [await world.alert(f"{n:03}") for n in range(5)]
    assert await a.ids(5) == await b.ids(5) == raised  # b has heard who the holder is
    os.kill(process.pid, signal.SIGKILL)
    more = [await world.alert(f"{n:03}") for n in range(5, 10)]
    assert await b.ids(5) == more


async def test_an_edge_is_there_as_long_as_its_own_queue(quorum_world):
    world = quorum_world
    process, edge = await world.edge_process()
    other = await world.edge()
    a, b = await world.client(edge), await world.client(other)
    raised = await world.alert("1")
    assert await a.ids(1) == await b.ids(1) == [raised]
    there = other.app.state.lines
    (queue,) = there.letters.queues.values()
    asked = [there._succession._presence.has(queue) for _ in range(20)]
    assert await asyncio.gather(*asked) == [True] * 20
    assert await there._succession._presence.has("edge.that-never-was.0") is False
    os.kill(process.pid, signal.SIGKILL)

    async def gone() -> bool:
        return not await there._succession._presence.has(queue)

    await world.until_async(gone)


async def test_mailbox_moves_from_edge_to_edge_in_order_while_alerts_come(quorum_world, patient):
    world = quorum_world
    await world.open_inbox("alice")
    edges = [await world.edge(), await world.edge()]
    raised: list[str] = []
    seen: list[str] = []
    for turn in range(16):
        firing = asyncio.create_task(fired(world, turn * AT_ONCE))
        client = await world.client(edges[turn % 2])
        while len(seen) < (turn + 1) * AT_ONCE - 4:
            one = (await client.ids(1))[0]
            seen += [one] if one not in seen else []
        await client.ack(*seen[:-3])
        await client.socket.close()  # what is on its way goes back, and the last three
        raised += await firing
    assert seen == raised[: len(seen)]


async def test_holder_leaves_while_alerts_come_and_the_other_edge_goes_on_in_order(
    quorum_world, patient
):
    world = quorum_world
    await world.open_inbox("alice")
    edges = [await world.edge(), await world.edge()]
    clients = [await world.client(edge) for edge in edges]
    for turn in range(12):
        leaving, staying = clients[turn % 2], clients[1 - turn % 2]
        firing = asyncio.create_task(fired(world, turn * AT_ONCE))
        seen = await staying.ids(turn % 5)
        await leaving.socket.close()
        seen += await staying.ids(AT_ONCE - turn % 5)
        assert seen == await firing
        await staying.send(type="ack", upTo=seen[-1])
        await staying.round_trip()
        clients[turn % 2] = await world.client(edges[turn % 2])


async def test_an_inbox_is_not_said_to_be_closed_while_the_broker_has_not_all_of_it_back(
    quorum_world, monkeypatch
):
    """What was on its way when the consumer was cancelled never came here, and is back later."""
    world = quorum_world
    monkeypatch.setattr(handover, "LEFT_WITHIN_S", 3600.0)
    edge = await world.edge()
    client = await world.client(edge)
    line = edge.app.state.lines._lines["inbox.alice"]
    await world.until(lambda: line.tray.state is State.OPEN)
    on_its_way: list[int] = []
    monkeypatch.setattr(line.tray, "deliver", lambda _, tag, now: on_its_way.append(tag) or [])
    raised = await world.alert("1")
    await world.until(lambda: on_its_way)
    await client.socket.close()
    await world.until(lambda: line.tray.state is State.DRAINING)
    releasing = asyncio.create_task(line.released.wait())
    released, _ = await asyncio.wait([releasing], timeout=0.5)
    assert not released
    line.lane.settle(on_its_way[0], requeue=True)  # by the broker itself, were it not here
    await releasing
    assert await (await world.client(edge)).ids(1) == [raised]


async def test_all_goes_back_in_one_piece_where_the_broker_keeps_its_order(
    quorum_world, monkeypatch
):
    """In parts, alerts that come meanwhile would get in between."""
    world = quorum_world
    edge = await world.edge()
    client = await world.client(edge)
    raised = [await world.alert(f"{n:03}") for n in range(40)]
    assert await client.ids(40) == raised
    line = edge.app.state.lines._lines["inbox.alice"]
    pieces: list[int] = []
    cancel = line.lane.cancel

    async def counted(consumer: str, returned: list[int]) -> None:
        pieces.append(len(returned))
        await cancel(consumer, returned)

    monkeypatch.setattr(line.lane, "cancel", counted)
    is_new = line.lane._tap.server_version >= (4, 0)
    await client.socket.close()
    await world.until(lambda: "inbox.alice" not in edge.app.state.lines._lines)
    assert pieces == [40 if is_new else handover.RETURNS_AT_ONCE]
    assert await (await world.client(edge)).ids(40) == raised


async def test_nobody_waits_longer_to_leave_because_another_edge_has_the_inbox_too(
    quorum_world, monkeypatch
):
    """The broker does not count a consumer of a quorum queue that waits for its turn."""
    world = quorum_world
    monkeypatch.setattr(handover, "LEFT_WITHIN_S", 3600.0)
    holder, other = await world.edge(), await world.edge()
    a = await world.client(holder)
    raised = await world.alert("1")
    assert await a.ids(1) == [raised]
    b = await world.client(other)
    assert await b.ids(1) == [raised]
    there = other.app.state.lines._lines
    await world.until(lambda: there["inbox.alice"].tray.state is State.OPEN)
    await b.socket.close()
    await world.until(lambda: "inbox.alice" not in there)
    b = await world.client(other)
    await world.until(lambda: there["inbox.alice"].tray.state is State.OPEN)
    await a.socket.close()
    await world.until(lambda: "inbox.alice" not in holder.app.state.lines._lines)
    assert await b.ids(1) == [raised]


async def test_an_inbox_that_is_deleted_under_its_holder_rests_before_it_is_declared_again(
    quorum_world, monkeypatch
):
    world = quorum_world
    edge = await world.edge()
    client = await world.client(edge)
    line = edge.app.state.lines._lines["inbox.alice"]
    await world.until(lambda: line.tray.state is State.OPEN)
    monkeypatch.setattr(attaching, "DELETED_RESTS_S", 3600.0)
    await delete(world, "inbox.alice")
    await world.until(lambda: line.tray.state is State.OPENING)
    while_it_rests = [await world.alert(n) for n in range(5)]
    assert await waiting_in(world, "mailroom") == while_it_rests
    assert await world.depth("inbox.alice") == -1
    await client.socket.close()  # who comes anew is not kept waiting
    await world.until(lambda: "inbox.alice" not in edge.app.state.lines._lines)
    monkeypatch.setattr(attaching, "DELETED_RESTS_S", 0.0)
    client = await world.client(edge)
    line = edge.app.state.lines._lines["inbox.alice"]
    await world.until(lambda: line.tray.state is State.OPEN)
    await delete(world, "inbox.alice")
    await world.until(lambda: line.tray.state is State.OPENING)
    await world.until(lambda: line.tray.state is State.OPEN)
    after = await world.alert("after")
    assert await client.ids(1) == [after]


async def delete(world, queue: str) -> None:
    channel = await world.link.channel()
    await channel.queue_delete(queue)


async def waiting_in(world, queue: str) -> list[str]:
    """The ids of all that waits in a queue."""
    channel = await world.link.channel()
    count = (await channel.queue_declare(queue, passive=True)).message_count
    found: list[str] = []

    async def take(message) -> None:
        found.append(message.header.properties.message_id)

    await channel.basic_consume(queue, take, no_ack=True)
    await world.until(lambda: len(found) == count)
    return found
