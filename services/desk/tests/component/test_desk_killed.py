"""`kill -9` at any moment: every event counts once, every alert is in its inbox, in order."""

import asyncio
import signal

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError, ProgrammingError

from tapewire.broker import Link, Publisher, Role
from tapewire.desk.tables import EVENTS, SESSIONS
from tapewire.service import ServiceSettings
from tapewire.service.database import engine_from

EVENTS_SENT = 600
ALERTS_SENT = 40

DIES_BEFORE_ITS_FIRST_ACK = """
import os, signal
from tapewire.desk.__main__ import main
from tapewire.desk.scribe import Scribe

commit = Scribe._commit

async def commit_and_die(self, entries):
    await commit(self, entries)
    os.kill(os.getpid(), signal.SIGKILL)

Scribe._commit = commit_and_die
main()
"""


@pytest.fixture
async def store(database_url):
    engine = engine_from(ServiceSettings(database_url=database_url), "desk")
    yield engine
    await engine.dispose()


@pytest.fixture
async def publisher(broker_url, rabbit):
    link = Link(broker_url, Role.PUBLISH, name="services")
    await link.start()
    yield Publisher(link, deadline_s=60)
    await link.close()


@pytest.mark.timeout(300)  # three starts of a process; seconds where nothing else runs
async def test_killed_again_and_again_it_counts_every_event_once(
    publisher, rabbit, launch, broker_url, database_url, store, make, until
):
    async def publish(*events):
        await asyncio.gather(*(publisher.publish_event(event) for event in events))

    async def trickle(*events):
        for event in events:
            await publisher.publish_event(event)

    async def entered():
        try:
            async with store.connect() as connection:
                return await connection.scalar(select(func.count()).select_from(EVENTS))
        except (OperationalError, ProgrammingError):  # not migrated yet
            return 0

    users = ["alice", "bob"]
    total = EVENTS_SENT + len(users) * ALERTS_SENT
    trades = [make("trade_executed") for _ in range(EVENTS_SENT)]
    await publish(*trades[: EVENTS_SENT // 2])
    await publish(
        *(
            make("risk_alert", id=f"a-{n}", userId=user)
            for n in range(ALERTS_SENT)
            for user in users
        )
    )
    environment = {"TAPEWIRE_AMQP_URL": broker_url, "DATABASE_URL": database_url}
    process = launch("desk", DIES_BEFORE_ITS_FIRST_ACK, **environment)
    await until(lambda: process.poll() is not None)
    assert process.returncode == -signal.SIGKILL
    assert await entered() > 0, "it had committed"

    slowly = asyncio.create_task(trickle(*trades[EVENTS_SENT // 2 :]))
    process = launch("desk", **environment)

    async def is_past_what_waited():
        return await entered() > 0.7 * total

    await until(is_past_what_waited)
    process.kill()
    process.wait()
    launch("desk", **environment)
    await slowly

    async def is_done():
        queues = [await rabbit.depth(queue) for queue in ("desk.events", "mailroom")]
        return queues == [0, 0] and await entered() == total

    await until(is_done)
    async with store.connect() as connection:
        rows = (await connection.execute(select(SESSIONS).order_by(SESSIONS.c.user_id))).all()
    assert [(row.user_id, row.trades, row.alerts) for row in rows] == [
        ("alice", EVENTS_SENT, ALERTS_SENT),
        ("bob", 0, ALERTS_SENT),
    ]
    assert await rabbit.depth("dead") == 0
    for user in users:
        inbox = await rabbit.consume(f"inbox.{user}")
        await until(lambda inbox=inbox: len({d.message_id for d in inbox}) == ALERTS_SENT)
        arrivals = [int(one[2:]) for one in dict.fromkeys(d.message_id for d in inbox)]
        assert arrivals == list(range(ALERTS_SENT))
