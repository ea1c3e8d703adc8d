import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from tapewire.service import ServiceSettings
from tapewire.service.database import (
    Database,
    database_url,
    engine_from,
    migrate,
)
from tapewire.service.sqlite import READ_ONLY

FIRST = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "0001", None


def upgrade():
    op.create_table("parent", sa.Column("id", sa.Integer, primary_key=True))
    op.create_table(
        "child",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("parent", sa.Integer, sa.ForeignKey("parent.id"), nullable=False),
    )
"""
SECOND = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "0002", "0001"


def upgrade():
    op.add_column("parent", sa.Column("name", sa.String(20)))
    {more}
"""


def alembic_dir(folder: Path, more: str = "pass") -> Path:
    """Write a service's migrations into a folder."""
    made = folder / "alembic"
    (made / "versions").mkdir(parents=True, exist_ok=True)
    (made / "env.py").write_text(
        "from sqlalchemy import MetaData\nfrom tapewire.service.database import run_env\n"
        "run_env(MetaData())\n"
    )
    (made / "versions" / "0001.py").write_text(FIRST)
    (made / "versions" / "0002.py").write_text(SECOND.format(more=more))
    return made


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    return ServiceSettings(data_dir=tmp_path / "data", database_url=None)


@pytest.fixture
async def engine(settings: ServiceSettings) -> AsyncIterator[AsyncEngine]:
    made = engine_from(settings, "risk")
    yield made
    await made.dispose()


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgresql://u:p@h:1/d", "postgresql+asyncpg://u:p@h:1/d"),
        ("postgresql+psycopg://h/d", "postgresql+asyncpg://h/d"),
        ("postgres://h/d?sslmode=require", "postgresql+asyncpg://h/d?ssl=require"),
        ("sqlite:////var/x.db", "sqlite+aiosqlite:////var/x.db"),
    ],
)
def test_a_database_url_may_be_written_as_platforms_write_it(given: str, used: str):
    url = database_url(ServiceSettings(database_url=given), "risk")
    assert url.render_as_string(hide_password=False) == used


def test_another_kind_of_database_is_refused():
    with pytest.raises(ValueError, match="mysql is not supported"):
        database_url(ServiceSettings(database_url="mysql://h/d"), "risk")


async def test_without_a_url_data_lies_in_the_data_folder(
    engine: AsyncEngine, settings: ServiceSettings
):
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE t (x)"))
    assert (settings.data_dir / "risk.sqlite3").exists()


async def test_sqlite_keeps_what_was_committed_and_checks_references(engine: AsyncEngine):
    async with engine.connect() as connection:
        found = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }


async def test_migrations_run_once_and_to_the_end(engine: AsyncEngine, tmp_path: Path):
    for _ in range(2):
        await migrate(engine, alembic_dir(tmp_path))
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO parent VALUES (1, 'a')"))
        with pytest.raises(IntegrityError):
            await connection.execute(text("INSERT INTO child VALUES (1, 99)"))


async def test_a_failing_migration_leaves_nothing_behind(engine: AsyncEngine, tmp_path: Path):
    folder = alembic_dir(tmp_path, more="raise RuntimeError('half-way')")
    with pytest.raises(RuntimeError, match="half-way"):
        await migrate(engine, folder)
    async with engine.connect() as connection:
        tables = await connection.execute(text("SELECT name FROM sqlite_master"))
        assert tables.scalars().all() == []
    await migrate(engine, alembic_dir(tmp_path))


async def test_processes_that_start_together_migrate_once(
    settings: ServiceSettings, tmp_path: Path
):
    folder = alembic_dir(tmp_path, more="import time; time.sleep(0.3)")
    program = (
        "import asyncio\nfrom tapewire.service import ServiceSettings\n"
        "from tapewire.service.database import engine_from, migrate\n"
        "async def main():\n"
        f"    engine = engine_from(ServiceSettings(data_dir={str(settings.data_dir)!r}), 'risk')\n"
        f"    await migrate(engine, {str(folder)!r})\n"
        "    await engine.dispose()\n"
        "asyncio.run(main())\n"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    for process in processes:
        _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
    with sqlite3.connect(settings.data_dir / "risk.sqlite3") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            ("0002",)
        ]
    connection.close()


async def test_a_writer_waits_for_another_and_neither_fails_half_way(engine: AsyncEngine):
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE t (x)"))
        await connection.execute(text("INSERT INTO t VALUES (0)"))

    async def count_up() -> None:
        async with engine.begin() as connection:
            value = (await connection.execute(text("SELECT x FROM t"))).scalar_one()
            await asyncio.sleep(0)
            await connection.execute(text("UPDATE t SET x = :x"), {"x": value + 1})

    await asyncio.gather(*(count_up() for _ in range(20)))
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT x FROM t"))).scalar_one() == 20


async def test_a_reader_that_says_so_waits_for_no_writer(engine: AsyncEngine):
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE t (x)"))
    reading = engine.execution_options(**{READ_ONLY: True})
    async with engine.begin() as writer:
        await writer.execute(text("INSERT INTO t VALUES (1)"))
        async with asyncio.timeout(2), reading.connect() as reader:
            assert (await reader.execute(text("SELECT count(*) FROM t"))).scalar_one() == 0


async def test_a_transaction_that_fails_is_rolled_back(engine: AsyncEngine):
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE t (x)"))

    async def fail_half_way() -> None:
        async with engine.begin() as connection:
            await connection.execute(text("INSERT INTO t VALUES (1)"))
            await connection.execute(text("INSERT INTO nowhere VALUES (1)"))

    with pytest.raises(OperationalError):
        await fail_half_way()
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM t"))).scalar_one() == 0


async def test_the_component_migrates_and_tells_its_health(engine: AsyncEngine, tmp_path: Path):
    database = Database(engine, alembic_dir(tmp_path))
    assert database.health() == "not asked yet"
    await database.start()
    assert database.health() is None
    await database.drain()
    await database.stop()


async def test_a_database_that_is_away_keeps_a_service_from_starting(tmp_path: Path):
    away = ServiceSettings(database_url="postgres://u:p@127.0.0.1:1/d")
    engine = engine_from(away, "risk")
    with pytest.raises(OSError, match="Connect call failed"):
        await Database(engine, alembic_dir(tmp_path)).start()
    assert await Database(engine).probe() == "ConnectionRefusedError"
    await engine.dispose()
