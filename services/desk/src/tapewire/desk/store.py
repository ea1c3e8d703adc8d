"""Reading desk's tables."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tapewire.service.sqlite import READ_ONLY


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """Yield a connection that only reads, and reads everything as of one moment."""
    options: dict[str, Any] = {READ_ONLY: True}
    if engine.dialect.name == "postgresql":  # SQLite's transactions are so by themselves
        options["isolation_level"] = "REPEATABLE READ"
    async with engine.connect() as connection:
        await connection.execution_options(**options)
        yield connection
