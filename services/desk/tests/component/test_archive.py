"""The archive: what it takes out of the history, and what it must not."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from tapewire.desk import notifications
from tapewire.desk.tables import OUTBOX

LATER = {"alertLevel": "warning"}
T0 = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def page(engine):
    async def read(user="alice", **options):
        async with engine.connect() as connection:
            found = await notifications.page(connection, user, **options)
        return [item.id for item in found.items], found.unread

    return read


@pytest.fixture
def archive(engine):
    async def do(*ids, user="alice", all=False):
        async with engine.begin() as connection:
            return await notifications.archive(connection, user, ids, all=all, now=T0)

    return do


@pytest.fixture
def told(engine):
    async def read():
        async with engine.connect() as connection:
            bodies = await connection.scalars(select(OUTBOX.c.body).order_by(OUTBOX.c.seq))
            return [
                {k: v for k, v in json.loads(body).items() if k in ("ids", "all", "unreadCount")}
                for body in bodies
            ]

    return read


async def test_archived_is_read_and_out_of_the_history(entered, make, page, archive, told):
    await entered(*(make("risk_alert", id=f"w-{n}", **LATER) for n in range(3)))
    assert await archive("w-1") == 2
    assert await page() == (["w-2", "w-0"], 2)
    assert await page(archived=True) == (["w-1"], 2)
    assert await told() == [{"ids": ["w-1"], "unreadCount": 2}]
    assert await archive("w-1", "unheard-of") == 2
    assert len(await told()) == 1  # nothing new was archived


async def test_all_leaves_what_is_critical_unless_it_is_named(entered, make, page, archive, told):
    await entered(
        make("risk_alert", id="settled"),
        make("risk_alert", id="open"),
        make("emergency_stop", id="stop"),
        make("risk_alert", id="warning", **LATER),
        make("system_notification", id="notice", userId="all"),
        make("trade_executed", id="wants-ack", ack=True),
    )
    assert await archive("settled", all=True) == 3
    assert await page() == (["wants-ack", "stop", "open"], 3)
    assert await told() == [{"ids": ["settled"], "all": True, "unreadCount": 3}]
    assert await page("bob") == (["notice"], 1)  # everyone has an archive of their own


async def test_all_takes_what_is_there_and_not_what_comes_later(entered, make, page, archive):
    await entered(make("risk_alert", id="before", **LATER))
    assert await archive(all=True) == 0
    await entered(make("risk_alert", id="after", **LATER))
    assert await page() == (["after"], 1)
    assert await archive(all=True) == 0
    assert await archive(all=True) == 0


async def test_what_is_of_others_cannot_be_archived(entered, make, page, archive, told):
    await entered(make("risk_alert", id="b-1", userId="bob", **LATER))
    assert await archive("b-1", all=True) == 0
    assert await page("bob") == (["b-1"], 1)
    assert await told() == []


async def test_pages_and_marks_go_on_around_what_is_archived(entered, make, page, archive, engine):
    await entered(*(make("risk_alert", id=f"w-{n}", **LATER) for n in range(6)))
    await archive("w-4", "w-2")
    async with engine.begin() as connection:
        found = await notifications.page(connection, "alice", limit=2)
        assert [item.id for item in found.items] == ["w-5", "w-3"]
        found = await notifications.page(connection, "alice", limit=2, before=found.cursor)
        assert ([item.id for item in found.items], found.cursor) == (["w-1", "w-0"], None)
        assert await notifications.mark_read(connection, "alice", ["w-5", "w-4"], now=T0) == 3
        assert await notifications.mark_all_read(connection, "alice", now=T0) == 3
    assert await page() == (["w-5", "w-3", "w-1", "w-0"], 0)
