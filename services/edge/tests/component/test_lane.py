"""A lane whose connection goes with acks on their way."""

import asyncio

from tapewire.broker import Link, Role
from tapewire.edge.mailbox.lane import Lane
from tapewire.fleet.cable import Cable

HELD = 300


async def test_acks_that_are_lost_with_their_connection_hang_nobody_and_what_they_meant_comes_again(
    world,
):
    cable = Cable(world.amqp_url)
    link = Link(await cable.start(), Role.CONSUME, name="lane")
    await link.start()
    lost = asyncio.Event()
    lane = Lane(link, HELD, lambda _: lost.set(), lambda _: None)
    await world.open_inbox("alice")
    await asyncio.gather(*(world.alert(number) for number in range(HELD)))
    try:
        tags: list[int] = []
        await lane.consume("inbox.alice", "tag", lambda message: tags.append(message.delivery_tag))
        await world.until(lambda: len(tags) == HELD)
        cable.freeze()  # what is written now gets nowhere, and is not refused either
        for tag in tags:
            lane.settle(tag, requeue=False)
        lane.flush()
        cable.cut()
        async with asyncio.timeout(30):
            await lost.wait()
        tags.clear()
        lane.settle(1, requeue=False)  # of a channel that is gone: heard by nobody
        await lane.consume("inbox.alice", "tag", lambda message: tags.append(message.delivery_tag))
        await world.until(lambda: len(tags) == HELD)
        for tag in tags:
            lane.settle(tag, requeue=False)
        lane.flush()
        await lane.close()
        await world.consumers_gone("inbox.alice")
        assert await world.depth("inbox.alice") == 0
    finally:
        await lane.close()
        await link.close()
        await cable.stop()
