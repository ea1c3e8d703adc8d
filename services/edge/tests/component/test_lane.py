"""A lane whose connection goes with acks on their way."""

import asyncio

from tapewire.broker import Link, Role
from tapewire.edge.lane import Lane
from tapewire.edge.tasks import Tasks
from tapewire.fleet.cable import Cable

# Twenty writes of 64 frames: twice what aiormq queues for a connection, so one waits for a place.
HELD = 1280


async def test_acks_on_their_way_are_given_up_with_their_connection(world):
    cable = Cable(world.amqp_url)
    link = Link(await cable.start(), Role.CONSUME, name="lane")
    await link.start()
    tasks, lost = Tasks(), asyncio.Event()
    lane = Lane(link, HELD, tasks, lambda _: lost.set(), lambda _: None)
    await world.open_inbox("alice")
    await asyncio.gather(*(world.alert(number) for number in range(HELD)))
    tags: list[int] = []
    try:
        await lane.consume("inbox.alice", "tag", lambda message: tags.append(message.delivery_tag))
        await world.until(lambda: len(tags) == HELD)
        for tag in tags:
            lane.settle(tag, requeue=False)
        cable.cut()
        async with asyncio.timeout(20):
            await lost.wait()
            await lane.flushed()
    finally:
        await lane.close()
        await link.close()
        await tasks.cancel()
        await cable.stop()
