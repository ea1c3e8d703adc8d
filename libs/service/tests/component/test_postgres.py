"""The SQL base on a real PostgreSQL."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from tapewire.service import ServiceSettings
from tapewire.service.database import DATABASE_ERRORS, Database, engine_from, migrate
from tapewire.service.postgres import engine_of

pytestmark = pytest.mark.containers
IMAGE = os.environ.get("TAPEWIRE_TEST_POSTGRES_IMAGE", "postgres:17")

ENV = """
from sqlalchemy import MetaData
from tapewire.service.database import run_env
run_env(MetaData())
"""
REVISION = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "0001", None


def upgrade():
    op.create_table("t", sa.Column("x", sa.Numeric(18, 4), nullable=False))
    op.execute("SELECT pg_sleep(0.3)")
"""


@pytest.fixture(scope="module")
def database_url(docker_missing: str | None) -> Iterator[str]:
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # stopped below
    from testcontainers.community.postgres import PostgresContainer

    if docker_missing:
        pytest.skip(f"NOT TESTED on {IMAGE}: {docker_missing}")
    with PostgresContainer(IMAGE, driver=None) as container:
        yield container.get_connection_url()


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    made = engine_from(ServiceSettings(database_url=database_url), "risk")
    yield made
    async with made.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    await made.dispose()


@pytest.fixture
def alembic_dir(tmp_path: Path) -> Path:
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENV)
    (tmp_path / "versions" / "0001.py").write_text(REVISION)
    return tmp_path


async def test_processes_that_start_together_take_turns(engine: AsyncEngine, alembic_dir: Path):
    await asyncio.gather(*(migrate(engine, alembic_dir) for _ in range(3)))
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO t VALUES (1.25)"))
        versions = await connection.execute(text("SELECT version_num FROM alembic_version"))
        assert versions.scalars().all() == ["0001"]


async def test_a_restarted_database_is_used_again(engine: AsyncEngine, alembic_dir: Path):
    database = Database(engine, alembic_dir)
    await database.start()
    async with engine.connect() as connection:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> {} AND {}"
        await connection.execute(
            text(others.format("pg_backend_pid()", "datname = current_database()"))
        )
    assert await database.probe() is None
    assert database.health() is None
    await database.stop()


async def test_a_database_that_refuses_connections_is_a_fault_and_not_a_crash(database_url: str):
    absent = ServiceSettings(database_url=database_url.rpartition("/")[0] + "/absent")
    database = Database(engine_from(absent, "risk"))
    await database.start()
    assert database.health() == "DBAPIError"
    await database.stop()


async def test_a_server_that_vanished_is_given_up_though_no_statement_has_a_bound(
    docker_missing: str | None,
):
    """Its network is taken from it: no packet comes back, no goodbye, as when a host dies."""
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # stopped below
    import docker
    from testcontainers.community.postgres import PostgresContainer

    if docker_missing:
        pytest.skip(f"NOT TESTED on {IMAGE}: {docker_missing}")
    with PostgresContainer(IMAGE, driver=None) as container:
        wrapped = container.get_wrapped_container()
        wrapped.reload()
        ((network, where),) = wrapped.attrs["NetworkSettings"]["Networks"].items()
        url = make_url(container.get_connection_url())
        url = url.set(drivername="postgresql+asyncpg", host=where["IPAddress"], port=5432)
        engine = engine_of(url, timeout_s=2)
        try:
            async with engine.connect() as idle, engine.connect() as busy:
                await idle.scalar(text("SELECT 1"))
                asking = asyncio.create_task(busy.execute(text("SELECT pg_sleep(3600)")))
                while not await idle.scalar(
                    text("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
                ):
                    await asyncio.sleep(0.05)
                docker.from_env().networks.get(network).disconnect(wrapped)
                question = asyncio.create_task(idle.scalar(text("SELECT 1")))
                # Not by a timeout around them, which would look like the error that is wanted.
                gone, waiting = await asyncio.wait([asking, question], timeout=60)
                for task in waiting:
                    task.cancel()
                assert not waiting
                assert [isinstance(task.exception(), DATABASE_ERRORS) for task in gone] == [
                    True
                ] * 2
        finally:
            await engine.dispose()
