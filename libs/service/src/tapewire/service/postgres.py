"""PostgreSQL through asyncpg, where nothing waits for ever for a server that has gone silent.

A host that vanishes sends no goodbye: a container that was replaced, a failover, a firewall that
forgot the connection. TCP by itself notices after a quarter of an hour, or never while nothing is
sent. So the kernel asks idle peers whether they are there, and every statement has a bound, for
what answers the kernel and nobody else: a stopped process, a proxy in front of nothing.
"""

import socket
from typing import Any, Final

from asyncpg import Connection  # pyright: ignore[reportMissingTypeStubs]
from sqlalchemy import Engine, ExceptionContext, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

RECYCLE_S: Final = 1800  # prepared plans and type caches of a connection grow old with it
PROBES: Final = 3  # unanswered keepalives after which the kernel gives a connection up
_FRESH: Final = "tapewire.fresh"


def engine_of(url: URL, *, timeout_s: float, statement_s: float | None = None) -> AsyncEngine:
    """Return an engine whose connections are given up when nothing is heard for too long.

    Args:
        url: `postgresql+asyncpg://…`.
        timeout_s: for a connection to be made, and for a silence of the peer's kernel; and the
            server takes its locks from a transaction that does nothing for twice as long.
        statement_s: for a statement (COMMIT is one); None: however long it takes.

    What was under way raises one of `DATABASE_ERRORS` then, and all pooled connections are made
    anew: they go to the same silent place. **Whether a COMMIT that was not answered took place is
    not known**: the caller does its work again, and finds by its keys what was done already.
    """
    engine = create_async_engine(
        url,
        pool_recycle=RECYCLE_S,
        connect_args={
            "timeout": timeout_s,
            "command_timeout": statement_s,
            "connection_class": _watching(timeout_s),
        },
    )
    _prepare_new(engine.sync_engine, locks_ms=round(2 * timeout_s * 1000))
    event.listen(engine.sync_engine, "checkout", _ask_before_use)
    event.listen(engine.sync_engine, "handle_error", _give_up_the_silent)
    return engine


def _watching(timeout_s: float) -> type[Connection]:
    """Return a kind of connection that the kernel closes when its peer is not there."""

    class Watched(Connection):
        def __init__(self, protocol: Any, transport: Any, *rest: Any) -> None:
            super().__init__(protocol, transport, *rest)  # pyright: ignore[reportUnknownMemberType]
            watch(transport.get_extra_info("socket"), timeout_s)

    return Watched


def watch(sock: socket.socket, timeout_s: float) -> None:
    """Have the kernel close ``sock`` when its peer acknowledges nothing for ``timeout_s``.

    Idle or not (`tcp(7)`: TCP_USER_TIMEOUT also bounds keepalives). A Unix socket has no such
    trouble; a system without an option goes without it.
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    every_s = max(1, round(timeout_s / (PROBES + 1)))
    values = {
        "TCP_KEEPIDLE": every_s,
        "TCP_KEEPINTVL": every_s,
        "TCP_KEEPCNT": PROBES,
        "TCP_USER_TIMEOUT": round(timeout_s * 1000),
    }
    for name, value in values.items():
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _prepare_new(engine: Engine, *, locks_ms: int) -> None:
    """Tell each new connection how long the server bears with a transaction that stands still."""

    def on_connect(connection: Any, record: Any) -> None:
        record.info[_FRESH] = True
        cursor = connection.cursor()  # not by `server_settings`, which a pgbouncer refuses
        cursor.execute(f"SET idle_in_transaction_session_timeout = {locks_ms}")
        cursor.close()
        connection.commit()

    event.listen(engine, "connect", on_connect)


def _ask_before_use(connection: Any, record: Any, _: Any) -> None:
    """Ping a pooled connection before it is used; when one is silent, distrust them all.

    Instead of `pool_pre_ping`, to which asyncpg's timeout is no error of the database's: each
    silent connection of the pool would cost somebody the whole wait.
    """
    if record.info.pop(_FRESH, False):
        return
    try:
        connection.ping()
    except (OSError, connection.dbapi.Error) as error:
        connection.driver_connection.terminate()
        raise InvalidatePoolError from error


def _give_up_the_silent(context: ExceptionContext) -> None:
    """Close a connection that gave no answer in time, and the pooled ones with it.

    What it would say later belongs to a question that nobody asks any more.
    """
    if not isinstance(context.original_exception, TimeoutError) or context.connection is None:
        return
    context.is_disconnect = True  # type: ignore[misc]  # SQLAlchemy has handlers set it
    if not context.connection.invalidated:
        driver: Any = context.connection.connection.driver_connection
        driver.terminate()  # without a goodbye, which would wait as well
