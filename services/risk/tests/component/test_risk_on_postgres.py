"""What only a PostgreSQL shared by several processes can show."""

import asyncio
import re
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
TIMEOUT_S = 1.0  # for the database; nothing is asserted of it, but that it ends the wait
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


async def test_a_database_gone_silent_holds_events_up_no_longer_than_it_is_waited_for(
    bus, risk, trader, database
):
    wire = Cable(str(URL(database)))
    async with risk(database_url=await wire.start(), database_timeout_s=TIMEOUT_S):
        await bus.say(*crossing(trader)[:4])
        await bus.until(lambda: len(bus.bodies("loss_limit")) == 1)
        wire.freeze()  # whatever is pooled and whatever is under way; new connections work
        await bus.say(*(trader.loses(x) for x in (950, 1100)))
        await bus.until(lambda: len(bus.bodies("emergency_stop")) == 2)
    await wire.stop()
    told = {body["id"]: body["alertLevel"] for body in bus.bodies("loss_limit")}
    assert list(told.values()) == ["warning", "critical", "emergency"]


async def test_a_commit_that_was_not_answered_is_neither_lost_nor_done_twice(
    bus, risk, trader, database, token
):
    wire = Cable(str(URL(database)))
    async with risk(database_url=await wire.start(), database_timeout_s=TIMEOUT_S) as http:
        for number, event in enumerate(crossing(trader)):
            if number % 2 == 0 and number:  # what it commits is an alarm
                strike = wire.freeze_at(re.compile(rb"COMMIT"), within_s=60)
                await asyncio.gather(strike, bus.say(event))
            else:
                await bus.say(event)
        await bus.until(lambda: len(bus.bodies("emergency_stop")) >= 2)
        headers = token(trader.user, "session:read")
        assert len((await http.get("/v1/stops", headers=headers)).json()) == 1
    await wire.stop()
    told = {body["id"]: body["alertLevel"] for body in bus.bodies("loss_limit")}
    assert list(told.values()) == ["warning", "critical", "emergency"]


async def test_what_the_database_cannot_hold_does_not_hold_up_the_shard(bus, risk, trader):
    async with risk():
        await bus.say(
            EmergencyStopRequested(**trader.stamp(), idempotency_key="k", reason="a\x00b"),
            *crossing(trader),
        )
        await bus.until(lambda: len(bus.bodies("loss_limit")) == 3)
