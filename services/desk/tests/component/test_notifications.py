import asyncio
import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from tapewire.desk import notifications
from tapewire.desk.tables import OUTBOX, READS

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.fixture
def page(engine):
    async def read(user="alice", **options):
        async with engine.connect() as connection:
            return await notifications.page(connection, user, **options)

    return read


@pytest.fixture
def mark(engine):
    async def do(event_id=None, user="alice"):
        async with engine.begin() as connection:
            if event_id is None:
                return await notifications.mark_all_read(connection, user, now=NOW)
            return await notifications.mark_read(connection, user, [event_id], now=NOW)

    return do


@pytest.fixture
def told(engine):
    """What is in the outbox: (routing key, ids, all, unread count)."""

    async def read():
        async with engine.connect() as connection:
            rows = (await connection.execute(select(OUTBOX).order_by(OUTBOX.c.seq))).all()
        bodies = [json.loads(row.body) for row in rows]
        return [
            (row.routing_key, body["ids"], body.get("all"), body["unreadCount"])
            for row, body in zip(rows, bodies, strict=True)
        ]

    return read


def ids(page):
    return [item.id for item in page.items]


async def test_the_history_holds_what_is_to_be_noticed_newest_first(entered, make, page):
    await entered(
        make("trade_executed"),
        make("risk_alert", id="a-1"),
        make("system_notification", id="n-1", userId="all"),
        make("risk_alert", id="b-1", userId="bob"),
        make("session_status"),
        make("trade_executed", id="t-1", ack=True),
    )
    found = await page()
    assert ids(found) == ["t-1", "n-1", "a-1"]
    assert [item.level for item in found.items] == ["critical", "info", "critical"]
    assert (found.unread, found.cursor) == (3, None)
    assert json.loads(found.items[2].body)["alertType"] == "loss_limit"


async def test_pages_follow_each_other_without_gap_or_repetition(entered, make, page):
    await entered(*(make("risk_alert", id=f"a-{n}") for n in range(25)))
    seen, cursor = [], None
    while True:
        found = await page(before=cursor, limit=10)
        seen += ids(found)
        await entered(make("risk_alert"))  # what is new does not move the pages
        if (cursor := found.cursor) is None:
            break
    assert seen == [f"a-{n}" for n in reversed(range(25))]


async def test_reading_one_leaves_the_others_and_tells_every_device(
    entered, make, page, mark, told
):
    await entered(*(make("risk_alert", id=f"a-{n}") for n in range(3)))
    assert await mark("a-1") == 2
    assert ids(await page(unread_only=True)) == ["a-2", "a-0"]
    assert [item.read for item in (await page()).items] == [False, True, False]
    assert await told() == [("alice.-.account.notification_read", ["a-1"], None, 2)]


async def test_reading_twice_says_so_once(entered, make, mark, told):
    await entered(make("risk_alert", id="a-1"))
    assert [await mark("a-1"), await mark("a-1")] == [0, 0]
    assert len(await told()) == 1


async def test_what_is_not_there_cannot_be_read(entered, make, mark, told):
    await entered(make("risk_alert", id="b-1", userId="bob"), make("trade_executed", id="t-1"))
    assert [await mark("b-1"), await mark("t-1"), await mark("none")] == [None, None, None]
    assert await told() == []


async def test_a_notice_for_everyone_is_read_by_each_for_themselves(entered, make, page, mark):
    await entered(make("system_notification", id="n-1", userId="all"))
    assert await mark("n-1", user="alice") == 0
    assert (await page("alice")).unread == 0
    assert (await page("bob")).unread == 1


async def test_reading_all_is_one_mark_and_leaves_what_comes_later(
    entered, make, page, mark, told, engine
):
    await entered(*(make("risk_alert", id=f"a-{n}") for n in range(4)))
    await mark("a-2")
    assert await mark() == 3
    assert await mark() == 0
    await entered(make("risk_alert", id="a-9"))
    assert ids(await page(unread_only=True)) == ["a-9"]
    assert (await told())[1:] == [("alice.-.account.notification_read", [], True, 0)]
    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(READS)) == 0
    assert await mark("a-0") == 1  # it is read already: nothing to say
    assert len(await told()) == 2


async def test_marks_made_at_once_count_one_after_the_other(entered, make, mark, told):
    await entered(*(make("risk_alert", id=f"a-{n}") for n in range(8)))
    await asyncio.gather(*(mark(f"a-{n}") for n in range(8)))
    assert [unread for _, _, _, unread in await told()] == list(reversed(range(8)))
