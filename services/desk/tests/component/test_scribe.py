"""What the scribe does when the database cannot, on a SQLite file that is full."""

from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import event

from tapewire.broker import Settlement
from tapewire.contracts import encode
from tapewire.desk.app import MIGRATIONS
from tapewire.desk.scribe import Scribe
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
    scribe = Scribe(engine)
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
