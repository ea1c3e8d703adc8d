"""A device's tray is on a node that is down: it gets its alerts, and what comes live.

One broker stands in for the cluster: what a node that is down makes the others answer is given by
hand (`OutOfReach`), on the pool of the recent trays only. The cluster itself is struck by
`tests-integration/faults` (`cluster trays out of reach`).
"""

import asyncio

import pytest
from aiormq.exceptions import ChannelNotFoundEntity

from tapewire.broker import Link, Role, topology
from tapewire.edge.runtime.admin import Admin, OutOfReach, raise_out_of_reach

DEVICE = "?clientId=desk&resume=true"


class Node:
    """Takes the recent trays of an edge out of reach."""

    def __init__(self, edge, monkeypatch):
        self.admin = edge.app.state.lines._admins["recent"]
        self.patch = monkeypatch

    def goes_down(self):
        async def refuse(queue):
            raise OutOfReach(f"home node of {queue.name!r} is down or inaccessible")

        self.patch.setattr(self.admin, "open", refuse)

    def comes_back(self):
        self.patch.undo()


async def subscribed(world, edge, **more):
    client = await world.client(edge, query=DEVICE, **more)
    await client.send(type="subscribe", id=1, channels=["sessions:alice"])
    await client.next("subscribed")
    return client


@pytest.mark.parametrize("query", [DEVICE, ""])
async def test_device_is_welcomed_with_a_gap_and_gets_alerts_and_what_comes_live(
    world, monkeypatch, query
):
    edge = await world.edge()
    node = Node(edge, monkeypatch)
    first = await subscribed(world, edge)
    await first.socket.close()
    raised = await world.alert(1)
    node.goes_down()
    client = await world.client(edge, query=query)
    assert client.welcome["recovered"] == {"critical": 1, "recent": 0, "gap": True}
    assert await client.ids(1) == [raised]
    assert (await world.alert(2, level="warning")) == (await client.next("risk_alert"))["id"]
    if query:  # its channels are known from the record, which is within reach
        decision = await world.decision(1)
        assert (await client.next("algorithm_decision"))["id"] == decision


async def test_tray_is_attached_when_its_node_is_back(world, monkeypatch):
    edge = await world.edge()
    node = Node(edge, monkeypatch)
    first = await subscribed(world, edge)
    await first.socket.close()
    await world.decision(1)  # waits in the tray
    node.goes_down()
    client = await world.client(edge, query=DEVICE)
    assert client.welcome["recovered"]["gap"]
    node.comes_back()
    assert (await client.next("algorithm_decision"))["id"] == "d-1"
    await world.until(lambda: edge.app.state.mailboxes.states()["open"] == 2)
    await world.decision(2)
    assert (await client.next("algorithm_decision"))["id"] == "d-2"
    await client.quiet()
    await client.socket.close()
    await world.empty("recent.alice.desk")


async def test_what_was_subscribed_meanwhile_is_on_the_tray_later(world, monkeypatch):
    edge = await world.edge()
    node = Node(edge, monkeypatch)
    node.goes_down()
    client = await subscribed(world, edge)
    await world.decision(1)
    assert (await client.next("algorithm_decision"))["id"] == "d-1"
    node.comes_back()
    await world.until(lambda: edge.app.state.mailboxes.states()["open"] == 2)
    await client.socket.close()
    await world.until(lambda: not list(edge.app.state.lines))
    await world.decision(2)
    back = await world.client(edge, query=DEVICE)
    assert set(back.welcome["channels"]) == {"user:alice", "sessions:alice"}
    assert back.welcome["recovered"] == {"critical": 0, "recent": 1, "gap": False}
    assert (await back.next("algorithm_decision"))["id"] == "d-2"


async def test_connection_that_never_had_its_tray_leaves_nothing_behind(world, monkeypatch):
    edge = await world.edge()
    before = set(edge.app.state.node._wanted)
    Node(edge, monkeypatch).goes_down()
    client = await world.client(edge, query=DEVICE)
    await client.socket.close()
    await world.until(lambda: not list(edge.app.state.lines))
    assert set(edge.app.state.node._wanted) == before
    await world.until(lambda: "await tray" not in {t.get_name() for t in asyncio.all_tasks()})


@pytest.mark.parametrize(
    ("said", "is_down"),
    [
        ("NOT_FOUND - no queue 'q' in vhost '/'", False),
        ("NOT_FOUND - home node 'rabbit@b' of durable queue 'q' is down or inaccessible", True),
        ("NOT_FOUND - queue 'q' in vhost '/' process is stopped by supervisor", True),
    ],
)
def test_queue_whose_node_is_down_is_told_from_one_that_does_not_exist(said, is_down):
    if is_down:
        with pytest.raises(OutOfReach):
            raise_out_of_reach(ChannelNotFoundEntity(said))
    else:
        raise_out_of_reach(ChannelNotFoundEntity(said))


async def test_channel_whose_question_was_not_answered_in_time_is_lent_to_nobody(world):
    link = Link(world.amqp_url, Role.TOPOLOGY, name="slow")
    await link.start()
    admin = Admin(link, 1, deadline_s=1.0)
    with pytest.raises(TimeoutError):
        async with admin.tap() as slow:
            await asyncio.sleep(60)
    async with admin.tap() as tap:
        assert tap is not slow
    assert await admin.look(topology.recent("nobody")) is None
    await link.close()
