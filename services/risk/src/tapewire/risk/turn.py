"""Which of several processes publishes the outbox they share."""

from contextlib import suppress
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tapewire.service.database import DATABASE_ERRORS

LOCK: Final = 0x7461_7065  # the advisory lock's number: "tape"

_AS_STUCK: Final = text(
    "SELECT set_config('idle_session_timeout',"
    " current_setting('idle_in_transaction_session_timeout'), false)"
)
"""The server takes the turn from a session that asks nothing, as it takes locks from one."""


class Turn:
    """On PostgreSQL the turn is an advisory lock; on SQLite there is only one process.

    It ends with the connection that holds it: when the process dies, and when it has not asked
    for so long that PostgreSQL takes it for stuck.

    Args:
        engine: of the shared database.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.shared = engine.dialect.name == "postgresql"
        self._connection: AsyncConnection | None = None
        self._held = False

    async def mine(self) -> bool:
        """Return whether it is this process's turn; to be asked time and again.

        Raises:
            DATABASE_ERRORS: the database is away; the turn is lost.
        """
        if not self.shared:
            return True
        try:
            connection = self._connection or await self._connect()
            question = "SELECT true" if self._held else f"SELECT pg_try_advisory_lock({LOCK})"
            self._held = bool(await connection.scalar(text(question)))
        except DATABASE_ERRORS:
            await self.give_up()
            raise
        return self._held

    async def give_up(self) -> None:
        """Let another process have its turn."""
        connection, self._connection, self._held = self._connection, None, False
        if connection is not None:
            with suppress(*DATABASE_ERRORS):
                await connection.invalidate()  # closed, not pooled: the lock is the session's
            with suppress(*DATABASE_ERRORS):
                await connection.close()

    async def _connect(self) -> AsyncConnection:
        plain = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._connection = await plain.connect()
        await self._connection.execute(_AS_STUCK)
        return self._connection
