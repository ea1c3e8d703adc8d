"""What the scribe does when the database cannot: a full file, a commit that is not answered."""

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import event, func, select
from yarl import URL

from tapewire.broker import Settlement
from tapewire.contracts import encode
from tapewire.desk.app import MIGRATIONS
from tapewire.desk.scribe import BATCH, Scribe
from tapewire.desk.tables import EVENTS
from tapewire.fleet.cable import Cable
from tapewire.service import ServiceSettings
from tapewire.service.database import engine_from, migrate


@dataclass
class Letter:
    """What the scribe reads of a delivery."""

    body: bytes
    type: str = "trade_executed"


@asynccontextmanager
async def a_full_file(engine, pages):
    """Have every connection refuse to grow the file past `pages`."""

    def limit(connection, _):
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(engine.sync_engine, "connect", limit)
    await engine.dispose()  # those that there are know no limit
    try:
        yield
    finally:
        event.remove(engine.sync_engine, "connect", limit)
        await engine.dispose()


async def test_events_that_a_full_disk_refuses_come_again_and_none_is_set_aside(tmp_path, make):
    url = f"sqlite:///{tmp_path}/desk.sqlite3"
    engine = engine_from(ServiceSettings(database_url=url), "desk")
    await migrate(engine, MIGRATIONS)
    scribe = Scribe(engine, pace_s=0)
    await scribe.start()
    letters = [Letter(encode(make("trade_executed"))) for _ in range(400)]
    async with a_full_file(engine, pages=1):  # as many as it has
        told = [await scribe.handle(letter) for letter in letters]
    assert Settlement.REQUEUE in told
    assert Settlement.DEAD_LETTER not in told
    again = [one for one, settled in zip(letters, told, strict=True) if settled != Settlement.ACK]
    assert {await scribe.handle(letter) for letter in again} == {Settlement.ACK}
    await scribe.stop()
    await engine.dispose()


@pytest.mark.containers
async def test_events_whose_commit_was_not_answered_come_again_and_count_once(postgres_url, make):
    wire = Cable(str(URL(postgres_url)))
    settings = ServiceSettings(database_url=await wire.start(), database_timeout_s=1)
    engine = engine_from(settings, "desk")
    await migrate(engine, MIGRATIONS)
    scribe = Scribe(engine, pace_s=0)
    await scribe.start()
    assert await scribe.handle(letters_of(make, 1)[0]) is Settlement.ACK
    (letter,) = letters_of(make, 1)
    strike = wire.freeze_at(re.compile(rb"COMMIT"), within_s=60)
    _, told = await asyncio.gather(strike, scribe.handle(letter))
    assert told is Settlement.REQUEUE
    assert await scribe.handle(letter) is Settlement.ACK
    assert await Commits(engine).entered() == 2
    await scribe.stop()
    await engine.dispose()
    await wire.stop()


class Commits:
    """How many events were there after each commit, as others see them."""

    def __init__(self, engine):
        self.engine = engine
        self.count = 0
        event.listen(engine.sync_engine, "commit", self._committed)

    def _committed(self, _):
        self.count += 1

    async def entered(self):
        async with self.engine.connect() as connection:
            return await connection.scalar(select(func.count()).select_from(EVENTS))


@pytest.fixture
async def leisurely(engine):
    """A scribe that commits once, and then only when something hurries it; and its commits."""
    scribe = Scribe(engine, pace_s=3600)
    await scribe.start()
    yield scribe, Commits(engine)
    await scribe.stop()


def letters_of(make, number):
    return [Letter(encode(make("trade_executed"))) for _ in range(number)]


async def test_the_first_event_is_entered_at_once_and_those_soon_after_it_together(leisurely, make):
    scribe, commits = leisurely
    first, *later = letters_of(make, 4)
    assert await scribe.handle(first) is Settlement.ACK
    handling = [asyncio.create_task(scribe.handle(letter)) for letter in later]
    await asyncio.wait(handling, timeout=0.1)
    assert not any(task.done() for task in handling), "acked, and not committed"
    assert await commits.entered() == 1
    await scribe.caught_up()
    assert await commits.entered() == 4
    assert await asyncio.gather(*handling) == [Settlement.ACK] * 3
    assert commits.count == 2


async def test_a_full_batch_waits_for_nothing(leisurely, make):
    scribe, commits = leisurely
    first, *later = letters_of(make, 1 + BATCH)
    await scribe.handle(first)
    assert set(await asyncio.gather(*map(scribe.handle, later))) == {Settlement.ACK}
    assert commits.count == 2


async def test_with_nothing_under_way_a_reader_does_not_wait(leisurely, make):
    scribe, _ = leisurely
    await scribe.caught_up()
    await scribe.handle(letters_of(make, 1)[0])
    await scribe.caught_up()
