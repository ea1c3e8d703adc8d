"""SQL for the services that keep state: SQLite by default, PostgreSQL by `DATABASE_URL`."""

import asyncio
import logging
import os
import zlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tapewire.broker import cancelled
from tapewire.service import postgres, sqlite
from tapewire.service.settings import ServiceSettings
from tapewire.service.sqlite import READ_ONLY

log = logging.getLogger(__name__)

PROBE_EVERY_S = 5.0
PROBE_TIMEOUT_S = 3.0
MIGRATING_S = 30.0  # for a connection, and for a silence of the network; not for a statement
DATABASE_ERRORS: tuple[type[Exception], ...] = (SQLAlchemyError, OSError)
"""What a database that is away, restarted or full raises; none of them may end a loop."""


def database_url(settings: ServiceSettings, default_name: str) -> URL:
    """Return where a service's data is.

    Args:
        settings: `database_url`, in the forms `postgres://`, `postgresql://`, `sqlite:///`; a
            driver may be named but asyncpg and aiosqlite are used. `sslmode=` is understood.
        default_name: without one, `<data_dir>/<default_name>.sqlite3`.

    Raises:
        ValueError: the URL is of another kind of database.
    """
    if not settings.database_url:
        return URL.create(
            "sqlite+aiosqlite", database=str(settings.data_dir / f"{default_name}.sqlite3")
        )
    # SQLAlchemy knows no `postgres:`, which hosting platforms hand out
    url = make_url(settings.database_url)
    match url.drivername.partition("+")[0]:
        case "postgres" | "postgresql":
            query = dict(url.query)
            if "sslmode" in query:
                query["ssl"] = query.pop("sslmode")  # asyncpg's name for libpq's parameter
            return url.set(drivername="postgresql+asyncpg", query=query)
        case "sqlite":
            return url.set(drivername="sqlite+aiosqlite")
        case other:
            raise ValueError(f"DATABASE_URL: {other} is not supported; use postgresql or sqlite")


def engine_from(settings: ServiceSettings, default_name: str) -> AsyncEngine:
    """Return the engine for a service's data; opens nothing yet.

    SQLite: WAL, `synchronous=FULL` (a commit survives a power cut), foreign keys, a busy
    timeout, and transactions that really begin when they say so. The folder is created.
    PostgreSQL: nothing waits longer than `database_timeout_s` (`postgres.engine_of`).
    """
    url = database_url(settings, default_name)
    if url.get_backend_name() == "sqlite":
        if url.database and url.database != ":memory:":
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_async_engine(url)
        sqlite.prepare(engine.sync_engine)
        return engine
    timeout_s = settings.database_timeout_s
    return postgres.engine_of(url, timeout_s=timeout_s, statement_s=timeout_s)


async def migrate(engine: AsyncEngine, alembic_dir: Path | str) -> None:
    """Bring the schema to the newest revision; processes that start together take turns.

    Args:
        engine: of `engine_from`.
        alembic_dir: folder with `env.py`, which calls `run_env`, and `versions/`.
    """
    config = Config()
    config.set_main_option("script_location", str(alembic_dir).replace("%", "%%"))
    async with _migrating(engine) as connection:  # SQLite: this takes the write lock
        if connection.dialect.name == "postgresql":
            key = zlib.crc32(b"tapewire migrations")
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        await connection.run_sync(_upgrade, config)


@asynccontextmanager
async def _migrating(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """Open a transaction in which a statement may take as long as it takes."""
    if engine.dialect.name != "postgresql":
        async with engine.begin() as connection:
            yield connection
        return
    patient = postgres.engine_of(engine.url, timeout_s=MIGRATING_S)
    try:
        async with patient.begin() as connection:
            yield connection
    finally:
        await patient.dispose()


def _upgrade(connection: Connection, config: Config) -> None:
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def run_env(metadata: Any) -> None:
    """Be a service's whole `alembic/env.py`.

    Args:
        metadata: the `MetaData` of its tables, for `alembic revision --autogenerate`, which
            takes the database from the variable DATABASE_URL.
    """
    from alembic import context

    def run(connection: Connection) -> None:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            render_as_batch=True,  # SQLite alters a table by making it anew
            transactional_ddl=True,  # SQLite's is, once BEGIN is said; Alembic assumes not
        )
        with context.begin_transaction():
            context.run_migrations()

    if (given := context.config.attributes.get("connection")) is not None:
        run(given)
        return

    async def by_command_line() -> None:
        settings = ServiceSettings(database_url=os.environ["DATABASE_URL"])
        engine = engine_from(settings, "unused")
        async with engine.begin() as connection:
            await connection.run_sync(run)
        await engine.dispose()

    asyncio.run(by_command_line())


class Database:
    """Component: migrates at start, asks the database now and then whether it is there.

    Args:
        engine: of `engine_from`; disposed of when this stops.
        alembic_dir: migrations, or None for a database without.
    """

    name = "database"

    def __init__(self, engine: AsyncEngine, alembic_dir: Path | str | None = None) -> None:
        self.engine = engine
        self._alembic_dir = alembic_dir
        self._fault: str | None = "not asked yet"
        self._probing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Migrate. Raises when the database is away: the process is started again then."""
        if self._alembic_dir is not None:
            await migrate(self.engine, self._alembic_dir)
        self._fault = await self.probe()
        self._probing = asyncio.create_task(self._keep_probing(), name="database-probe")

    async def drain(self) -> None:
        """Nothing to finish: who uses the database drains first."""

    async def stop(self) -> None:
        """Close every connection."""
        await cancelled(self._probing)
        await self.engine.dispose()

    def health(self) -> str | None:
        """Return None when the last question was answered."""
        return self._fault

    async def probe(self) -> str | None:
        """Ask the database; return None or what is wrong."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S), self.engine.connect() as connection:
                reader = await connection.execution_options(**{READ_ONLY: True})
                await reader.execute(text("SELECT 1"))
        except TimeoutError:
            return f"no answer in {PROBE_TIMEOUT_S:g} s"
        except DATABASE_ERRORS as error:
            return type(error).__name__
        return None

    async def _keep_probing(self) -> None:
        while True:
            await asyncio.sleep(PROBE_EVERY_S)
            before, self._fault = self._fault, await self.probe()
            if self._fault != before:
                log.warning("database", extra={"state": self._fault or "ok"})
