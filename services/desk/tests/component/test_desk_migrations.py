"""From the first revision to the newest and back, with data in the tables."""

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from tapewire.desk import notifications
from tapewire.desk.app import MIGRATIONS
from tapewire.service import ServiceSettings
from tapewire.service.database import engine_from, migrate

ROWS = (
    "INSERT INTO events (user_id, event_id, type, level, at, received_at, body) VALUES "
    "('alice', 'w-1', 'risk_alert', 'warning', '2026-03-02 10:00:00', '2026-03-02 10:00:00', '{}')",
    "INSERT INTO readers (user_id, read_through) VALUES ('alice', 0)",
    "INSERT INTO preferences (user_id, body, changed_at) VALUES "
    "('alice', '{\"marketDataRate\": 5}', '2026-03-02 10:00:00')",
)


@pytest.fixture
async def old(database_url):
    """A database of the first revision, with something in it."""
    engine = engine_from(ServiceSettings(database_url=database_url), "desk")
    await to(engine, "0001")
    async with engine.begin() as connection:
        for row in ROWS:
            await connection.execute(text(row))
    yield engine
    await engine.dispose()


async def to(engine, revision):
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))

    def go(connection):
        config.attributes["connection"] = connection
        (command.downgrade if revision == "-1" else command.upgrade)(config, revision)

    async with engine.begin() as connection:
        await connection.run_sync(go)


async def test_what_was_kept_is_kept_and_can_be_archived(old):
    await migrate(old, MIGRATIONS)
    async with old.begin() as connection:
        found = await notifications.page(connection, "alice")
        assert ([item.id for item in found.items], found.unread) == (["w-1"], 1)
        version = await connection.scalar(text("SELECT version FROM preferences"))
        assert version == 1
        now = found.items[0].at
        assert await notifications.archive(connection, "alice", [], all=True, now=now) == 0


async def test_the_newest_revision_can_be_taken_back_and_made_again(old):
    await migrate(old, MIGRATIONS)
    await to(old, "-1")
    async with old.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM events")) == 1
    await migrate(old, MIGRATIONS)
