"""SQLite as services use it: durable, one writer, and hardly any threads in short transactions."""

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import aiosqlite
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_TIMEOUT_MS: Final = 5_000  # another process may be migrating or checkpointing the same file

READ_ONLY: Final = "tapewire_read_only"
"""Execution option: `engine.execution_options(**{READ_ONLY: True})` for reads that must not wait.

On SQLite a transaction takes the write lock when it begins, so that it cannot fail half-way
because another took it first; one that says it only reads does not."""

SHORT: Final = "tapewire_short"
"""Execution option, of an engine: its transactions touch a few rows each, found by their keys.

On SQLite such a statement takes some 10 µs, and handing it to the connection's thread and back
ten times that, four times a statement. So only what waits, for the disk (COMMIT) or for another's
lock (BEGIN of a transaction that writes), goes through the thread; the rest runs at once, in the
event loop's."""

_CHUNK: Final = 64  # rows of a streamed result at a time: aiosqlite's own default

_Result = TypeVar("_Result")


def prepare(engine: Engine) -> None:
    """Have the connections of a SQLite engine (of the driver aiosqlite) be made as said above."""
    event.listen(engine, "do_connect", _by_our_connection)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)


class AtOnce(aiosqlite.Connection):
    """A connection that need not hand everything to its thread.

    Never two things at once: what is abandoned half-way, by a cancellation, may still be running
    there, and everything after it queues behind it.
    """

    at_once: bool = False
    """Whether statements run in the caller's thread: in a `SHORT` transaction that has begun."""

    _abandoned = False

    def as_daemon(self) -> None:
        """Let the interpreter end without waiting for the thread, as SQLAlchemy has it."""
        self._thread.daemon = True

    def began(self) -> bool:
        """Begin a transaction with the write lock, unless another has it; return whether it did."""
        if self._abandoned:
            return False
        self._conn.execute("PRAGMA busy_timeout=0")
        try:
            self._conn.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        finally:
            self._conn.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        return True

    async def _execute(
        self, fn: Callable[..., _Result], *args: Any, **kwargs: Any
    ) -> _Result:  # all that aiosqlite does with a connection or a cursor comes through here
        if self._connection is not None and not self._abandoned and self._is_quick(fn):
            return fn(*args, **kwargs)
        try:
            return await super()._execute(fn, *args, **kwargs)  # pyright: ignore[reportUnknownMemberType]
        except asyncio.CancelledError:
            self._abandoned = True
            raise

    def _is_quick(self, fn: Callable[..., Any]) -> bool:
        if self.at_once:
            return fn.__name__ != "commit"
        made_or_done_with = fn.__name__ == "cursor" or (
            fn.__name__ == "close" and isinstance(getattr(fn, "__self__", None), sqlite3.Cursor)
        )
        return made_or_done_with


def _by_our_connection(
    dialect: object, entry: ConnectionPoolEntry, arguments: Any, options: dict[str, Any]
) -> None:
    # two threads use a connection, in turn
    options |= {"async_creator_fn": _make, "check_same_thread": False}


def _make(*args: Any, **kwargs: Any) -> AtOnce:
    made = AtOnce(partial(sqlite3.connect, *args, **kwargs), _CHUNK)
    made.as_daemon()
    return made


def _set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # sqlite3 would begin transactions late and not at all before a SELECT; we say BEGIN ourselves
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")  # first: the next one may wait
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    short = bool(options.get(SHORT))
    driver: Any = connection.connection.driver_connection
    driver.at_once = False
    if options.get(READ_ONLY):
        driver.at_once = short  # a reader waits for nobody's lock
        connection.exec_driver_sql("BEGIN")
        return
    if not (short and driver.began()):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    driver.at_once = short
