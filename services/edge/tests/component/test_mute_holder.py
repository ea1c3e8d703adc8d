"""A holder that lets its inbox go and cannot say so: what it held comes back behind what is new.

Its connection's node died, say, or its relays are lost. Nothing was heard of it, but that there is
somebody: the broker counts its consumer until everything is back.
"""

import asyncio

import pytest
from aiormq.abc import AbstractChannel
from yarl import URL

from tapewire.edge.mailbox import handover, succession
from tapewire.edge.mailbox.state import State
from tapewire.fleet.rabbitmq import Node

from .conftest import world_on

HELD = 4


@pytest.fixture
def hurried(monkeypatch):
    """Nobody waits long for an answer, and everybody for the end of a holder."""
    monkeypatch.setattr(succession, "HOLDER_LEAVES_WITHIN_S", 0.05)
    monkeypatch.setattr(succession, "SUCCEED_WITHIN_S", 3600.0)
    monkeypatch.setattr(handover, "LEFT_WITHIN_S", 3600.0)


class MuteHolder:
    """A consumer of an inbox that holds what it got, and says nothing to anybody."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel
        self.tags: list[int] = []

    @classmethod
    async def of(cls, world, queue: str) -> "MuteHolder":
        holder = cls(await world.link.channel())
        await holder._channel.basic_consume(queue, holder._take, consumer_tag="mute")
        return holder

    async def _take(self, message) -> None:
        self.tags.append(message.delivery_tag)

    async def cancel(self) -> None:
        """Consume no more, and keep what is held."""
        await self._channel.basic_cancel("mute")

    async def give_back(self) -> None:
        for tag in self.tags:
            await self._channel.basic_nack(tag, requeue=True)


async def beside_a_mute_holder(world):
    """An edge whose client waits for an inbox, all of which somebody else holds."""
    await world.open_inbox("alice")
    holder = await MuteHolder.of(world, "inbox.alice")
    raised = [await world.alert(n) for n in range(HELD)]
    await world.until(lambda: len(holder.tags) == HELD)
    edge = await world.edge()
    client = await world.client(edge)
    line = edge.app.state.lines._lines["inbox.alice"]
    await world.until(lambda: line.tray.state is State.OPEN)
    return holder, edge, client, line, raised


async def left_and_waiting(world, line) -> None:
    """The last client has left, and the edge keeps the inbox all the same."""
    await world.until(lambda: line.tray.state is State.DRAINING)
    releasing = asyncio.create_task(line.released.wait())
    released, _ = await asyncio.wait([releasing], timeout=0.5)
    releasing.cancel()
    assert not released


async def test_what_is_new_waits_until_a_mute_holder_has_given_all_back(quorum_world, hurried):
    world = quorum_world
    holder, _, client, line, raised = await beside_a_mute_holder(world)
    await holder.cancel()
    raised.append(await world.alert(HELD))
    await world.until(lambda: line.tray.is_holder)
    await client.quiet()
    await holder.give_back()
    assert await client.ids(HELD + 1) == raised


async def test_who_leaves_meanwhile_gives_nothing_back_before_the_mute_holder(
    quorum_world, hurried
):
    world = quorum_world
    holder, edge, client, line, raised = await beside_a_mute_holder(world)
    await holder.cancel()
    raised.append(await world.alert(HELD))
    await world.until(lambda: line.tray.is_holder)
    await client.socket.close()
    await left_and_waiting(world, line)
    await holder.give_back()
    assert await (await world.client(edge)).ids(HELD + 1) == raised


async def test_who_was_handed_nothing_yet_waits_for_the_mute_holder_too(quorum_world, hurried):
    """Something may be on its way here, and would be back in the queue at once."""
    world = quorum_world
    holder, _, client, line, _ = await beside_a_mute_holder(world)
    await holder.cancel()
    await client.socket.close()
    await left_and_waiting(world, line)
    await holder.give_back()
    await line.released.wait()


@pytest.fixture
async def told_world(broker, broker_url):
    """Quorum inboxes on a broker whose processes can be told something: this machine's."""
    if not isinstance(broker, Node):
        pytest.skip("NOT TESTED: no way into the broker's node")
    vhost = URL(broker_url).path.lstrip("/")
    async for world in world_on(broker_url, "quorum"):
        yield world, lambda word: broker.eval(f"sys:{word}('{vhost}_inbox.alice')")


async def test_a_leader_that_does_not_answer_is_not_taken_for_the_end_of_a_holder(
    told_world, hurried
):
    """RabbitMQ counts no consumers then, and no messages."""
    world, tell_leader = told_world
    holder, _, client, line, raised = await beside_a_mute_holder(world)
    await holder.cancel()
    raised.append(await world.alert(HELD))
    await world.until(lambda: line.tray.is_holder)
    tell_leader("suspend")
    await client.quiet(1.0)  # each look takes a quarter of a second
    tell_leader("resume")
    await holder.give_back()
    assert await client.ids(HELD + 1) == raised
