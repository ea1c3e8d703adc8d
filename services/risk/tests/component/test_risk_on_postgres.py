"""What only a PostgreSQL shared by several processes can show."""

from contextlib import AsyncExitStack
from decimal import Decimal

import pytest
from yarl import URL

from tapewire.contracts import EmergencyStopRequested
from tapewire.fleet.cable import Cable

pytestmark = [
    pytest.mark.containers,
    pytest.mark.parametrize("database", ["postgresql"], indirect=True),
]
LOSSES = (100, 760, 770, 910, 920, 1010, 1020)


def crossing(trader):
    return [trader.starts(loss_limit=Decimal(1000)), *map(trader.loses, LOSSES)]


async def test_processes_share_the_shards_and_the_next_takes_over(bus, risk, trader):
    traders = [type(trader)() for _ in range(8)]
    story = list(zip(*map(crossing, traders), strict=True))
    async with risk(risk_shards=4):
        async with AsyncExitStack() as others:
            for _ in range(2):
                await others.enter_async_context(risk(risk_shards=4))
            for step in story[:4]:
                await bus.say(*step)
        for step in story[4:]:
            await bus.say(*step)
        await bus.until(lambda: len(bus.bodies("emergency_stop.emergency")) == len(traders))
    for one in traders:
        mine = [body for body in bus.bodies("loss_limit") if body["userId"] == one.user]
        assert [body["alertLevel"] for body in mine] == ["warning", "critical", "emergency"]


async def test_events_wait_for_a_database_that_is_away(bus, risk, trader, database):
    wire = Cable(str(URL(database)))
    url = await wire.start()
    async with risk(database_url=url):
        await bus.say(*crossing(trader)[:4])
        await bus.until(lambda: len(bus.bodies("loss_limit")) == 1)
        wire.pull_out()
        await bus.say(*(trader.loses(x) for x in (950, 1100)))
        wire.plug_in()
        await bus.until(lambda: len(bus.bodies("emergency_stop")) == 2)
    await wire.stop()
    # a confirm that could not be noted goes out again, under the same id
    told = {body["id"]: body["alertLevel"] for body in bus.bodies("loss_limit")}
    assert list(told.values()) == ["warning", "critical", "emergency"]


async def test_what_the_database_cannot_hold_does_not_hold_up_the_shard(bus, risk, trader):
    async with risk():
        await bus.say(
            EmergencyStopRequested(**trader.stamp(), idempotency_key="k", reason="a\x00b"),
            *crossing(trader),
        )
        await bus.until(lambda: len(bus.bodies("loss_limit")) == 3)
