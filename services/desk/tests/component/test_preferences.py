"""Preferences on both databases: whole, in part, counted, told."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from tapewire.contracts import Preferences
from tapewire.desk import preferences
from tapewire.desk.tables import OUTBOX, PREFERENCES

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.fixture
def change(engine):
    async def do(user="alice", **said):
        async with engine.begin() as connection:
            wanted = Preferences.model_validate(said)
            return await preferences.change_preferences(connection, user, wanted, now=NOW)

    return do


@pytest.fixture
def kept(engine):
    async def read(user="alice"):
        async with engine.connect() as connection:
            return await preferences.preferences_of(connection, user)

    return read


async def test_a_change_leaves_what_it_does_not_name(change, kept):
    await change(minimumLevels={"risk_alert": "critical"}, marketDataRate=5)
    await change(minimumLevels={"system_notification": "warning"}, quietHours={"enabled": True})
    found = await change(marketDataRate=None)
    assert found == await kept()
    assert found.minimum_levels.model_dump() == {
        "risk_alert": "critical",
        "volatility_alert": "warning",
        "system_notification": "warning",
    }
    assert (found.quiet_hours.enabled, found.market_data_rate) == (True, None)
    assert (found.version, (await kept("bob")).version) == (3, 0)


async def test_replacing_them_goes_back_to_the_default_where_nothing_is_said(engine, change, kept):
    await change(muted=["trade_executed"])
    async with engine.begin() as connection:
        await preferences.replace_preferences(
            connection, "alice", Preferences(market_data_rate=2, version=77), now=NOW
        )
    assert await kept() == Preferences(market_data_rate=2, version=2)


async def test_changes_made_at_once_are_all_kept_and_told_in_order(engine, change, kept):
    await asyncio.gather(
        change(minimumLevels={"risk_alert": "critical"}),
        change(minimumLevels={"volatility_alert": "critical"}),
        change(muted=["trade_executed"]),
        change(marketDataRate=2),
    )
    found = await kept()
    assert found == Preferences(
        minimum_levels={"risk_alert": "critical", "volatility_alert": "critical"},
        muted=["trade_executed"],
        market_data_rate=2,
        version=4,
    )
    async with engine.connect() as connection:
        bodies = list(await connection.scalars(select(OUTBOX.c.body).order_by(OUTBOX.c.seq)))
    said = [json.loads(body)["preferences"] for body in bodies]
    assert [one["version"] for one in said] == [1, 2, 3, 4]
    assert Preferences.model_validate(said[-1]) == found


async def test_what_an_older_version_allowed_is_the_default_now(engine, change, kept):
    await change(marketDataRate=2)
    async with engine.begin() as connection:
        await connection.execute(PREFERENCES.update().values(body='{"colour": "red"}'))
    assert await kept() == Preferences(version=1)
    assert (await change(marketDataRate=3)).version == 2


async def test_a_snapshot_has_those_who_ever_changed_theirs(engine, change):
    await change("alice", marketDataRate=2)
    await change("bob", muted=["trade_executed"])
    async with engine.connect() as connection:
        found = await preferences.snapshots(connection, ["alice", "carol", "bob"])
    assert {one.user_id: one.preferences.version for one in found} == {"alice": 1, "bob": 1}
    assert all(one.snapshot for one in found)
