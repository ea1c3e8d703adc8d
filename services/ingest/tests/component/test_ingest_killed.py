"""`kill -9` at any moment: what producers handed over is published, if need be twice."""

import json
from itertools import pairwise

import pytest
from aiormq import spec

from tapewire.broker import Link, Role
from tapewire.ingest.examples import EXAMPLES

COUNT = 1000


@pytest.fixture
async def hand_over(broker_url, rabbit):
    """Put numbered events into `ingest.inbox`."""
    link = Link(broker_url, Role.PUBLISH, name="producer")
    await link.start()

    async def publish(count):
        channel = await link.channel(timeout_s=10)
        for number in range(count):
            body = json.dumps(EXAMPLES["trade_executed"] | {"id": f"t-{number}"}).encode()
            await channel.basic_publish(
                body, exchange="tw.ingest", properties=spec.Basic.Properties(delivery_mode=2)
            )
        await channel.close()

    yield publish
    await link.close()


@pytest.mark.timeout(300)  # three starts of a process; seconds where nothing else runs
async def test_killed_again_and_again_it_loses_nothing_and_keeps_the_order(
    hand_over, rabbit, launch, broker_url, until
):
    seen = await rabbit.tap("tw.events")
    await hand_over(COUNT)
    for share in (0.2, 0.6):
        process = launch("ingest", TAPEWIRE_AMQP_URL=broker_url)
        await until(lambda share=share: len({d.message_id for d in seen}) > share * COUNT)
        process.kill()
        process.wait()
    launch("ingest", TAPEWIRE_AMQP_URL=broker_url)
    await until(lambda: len({d.message_id for d in seen}) == COUNT)

    async def is_empty():
        return await rabbit.depth("ingest.inbox") == 0

    await until(is_empty)
    arrivals = [int(one[2:]) for one in dict.fromkeys(d.message_id for d in seen)]
    assert all(before < after for before, after in pairwise(arrivals))
    assert await rabbit.depth("rejected") == 0
    assert await rabbit.depth("dead") == 0
