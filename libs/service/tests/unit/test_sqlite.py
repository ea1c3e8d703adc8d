"""What a short transaction of SQLite does where."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tapewire.service import ServiceSettings
from tapewire.service.database import engine_from
from tapewire.service.sqlite import READ_ONLY, SHORT


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    made = engine_from(ServiceSettings(data_dir=tmp_path, database_url=None), "short")
    async with made.begin() as connection:
        await connection.execute(text("CREATE TABLE t (x)"))
    yield made
    await made.dispose()


async def traced(connection: AsyncConnection) -> list[tuple[str, bool]]:
    """Return a list that fills with (statement's first word, whether the loop's thread ran it)."""
    seen: list[tuple[str, bool]] = []
    loops = threading.get_ident()
    driver: Any = (await connection.get_raw_connection()).driver_connection
    driver._conn.set_trace_callback(
        lambda sql: seen.append((sql.split()[0], threading.get_ident() == loops))
    )
    return seen


async def test_only_the_disk_is_waited_for_in_a_thread_when_a_short_transaction_gets_the_lock(
    engine: AsyncEngine,
):
    async with engine.execution_options(**{SHORT: True}).connect() as connection:
        seen = await traced(connection)
        async with connection.begin():
            await connection.execute(text("INSERT INTO t VALUES (1)"))
            assert await connection.scalar(text("SELECT x FROM t")) == 1
    said = [one for one in seen if one[0] != "PRAGMA"]
    assert said == [("BEGIN", True), ("INSERT", True), ("SELECT", True), ("COMMIT", False)]


async def test_every_other_transaction_leaves_the_loop_free(engine: AsyncEngine):
    async with engine.execution_options(**{SHORT: True}).begin() as connection:
        await connection.execute(text("INSERT INTO t VALUES (1)"))
    async with engine.connect() as connection:  # the same one, of the pool
        seen = await traced(connection)
        async with connection.begin():
            await connection.execute(text("INSERT INTO t VALUES (2)"))
    assert seen == [("BEGIN", False), ("INSERT", False), ("COMMIT", False)]


async def test_a_short_look_needs_no_thread_and_waits_for_no_writer(engine: AsyncEngine):
    async with engine.begin() as writer:
        await writer.execute(text("INSERT INTO t VALUES (1)"))
        looks = engine.execution_options(**{READ_ONLY: True, SHORT: True})
        async with looks.connect() as connection:
            seen = await traced(connection)
            assert await connection.scalar(text("SELECT count(*) FROM t")) == 0
    assert seen == [("BEGIN", True), ("SELECT", True), ("ROLLBACK", True)]


async def test_a_short_transaction_waits_for_another_writer_while_the_loop_goes_on(
    engine: AsyncEngine, tmp_path: Path
):
    other = sqlite3.connect(tmp_path / "short.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def write() -> None:
        async with engine.execution_options(**{SHORT: True}).begin() as connection:
            await connection.execute(text("INSERT INTO t VALUES (1)"))

    writing = asyncio.create_task(write())
    await asyncio.wait([writing], timeout=0.1)
    other.execute("COMMIT")  # were the loop held up, this would come after the busy timeout
    await writing
    assert other.execute("SELECT x FROM t").fetchall() == [(1,)]
    other.close()


async def test_a_short_transaction_cancelled_at_the_lock_leaves_nothing_and_the_next_one_works(
    engine: AsyncEngine, tmp_path: Path
):
    other = sqlite3.connect(tmp_path / "short.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def write(number: int) -> None:
        async with engine.execution_options(**{SHORT: True}).begin() as connection:
            await connection.execute(text(f"INSERT INTO t VALUES ({number})"))

    writing = asyncio.create_task(write(1))
    await asyncio.wait([writing], timeout=0.1)
    writing.cancel()
    other.execute("COMMIT")
    with pytest.raises(asyncio.CancelledError):
        await writing
    await write(2)
    assert other.execute("SELECT x FROM t").fetchall() == [(2,)]
    other.close()


async def test_a_short_transaction_that_fails_is_rolled_back(engine: AsyncEngine):
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - what fails is the transaction's body
        async with engine.execution_options(**{SHORT: True}).begin() as connection:
            await connection.execute(text("INSERT INTO t VALUES (1)"))
            raise ZeroDivisionError
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM t")) == 0
