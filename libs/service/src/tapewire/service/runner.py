"""Runs a service under uvicorn, and drains it before uvicorn closes its connections.

uvicorn's own signal handling closes sockets first, and runs the application's shutdown last.
Ours turns that round: SIGTERM or SIGINT → `/readyz` says no → every component drains, with its
sockets and broker links still open → uvicorn stops → components stop. A second signal ends the
process at once; whatever is durable survives that.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from tapewire.service import logs
from tapewire.service.lifecycle import Lifecycle
from tapewire.service.settings import ServiceSettings

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)
GRACE_S = 5  # for requests still running after the drain
KEEP_ALIVE_S = 75  # longer than proxies keep idle connections: the side that closes is theirs


class Server(uvicorn.Server):
    """uvicorn's server with our order of shutting down."""

    def __init__(
        self, config: uvicorn.Config, lifecycle: Lifecycle, *, handle_signals: bool = True
    ) -> None:
        super().__init__(config)
        self._handle_signals = handle_signals
        self.listening = asyncio.Event()
        self._lifecycle = lifecycle
        self._signalled = False
        self._leaving: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the components, then listen."""
        await super().startup(sockets)
        self.listening.set()
        if self._signalled:  # a signal came while the components were starting
            self.leave()

    @property
    def port(self) -> int:
        """The port in use, also when 0 was asked for."""
        return self.servers[0].sockets[0].getsockname()[1]

    def leave(self) -> None:
        """Begin to drain; the server ends by itself after it. Not before it listens."""
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._drain_and_exit(), name="leave")

    async def _drain_and_exit(self) -> None:
        try:
            await self._lifecycle.drain()
        finally:
            self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Replace uvicorn's handlers by ours while the server runs."""
        if not self._handle_signals:
            yield
            return
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.on_signal, number)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    def on_signal(self, number: int) -> None:
        """First signal: leave in good order. Second: leave at once."""
        if self._signalled:
            log.warning("second signal: leaving at once")
            logging.shutdown()
            os._exit(128 + number)
        self._signalled = True
        log.info("signal", extra={"signal": signal.Signals(number).name})
        if self.listening.is_set():
            self.leave()


def _server(
    app: FastAPI, settings: ServiceSettings, overrides: dict[str, Any], *, handle_signals: bool
) -> Server:
    options: dict[str, Any] = {
        "host": settings.http_host,
        "port": settings.http_port,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "lifespan": "on",
        "timeout_graceful_shutdown": GRACE_S,
        "timeout_keep_alive": KEEP_ALIVE_S,
    }
    config = uvicorn.Config(app.state.entry or app, **(options | overrides))
    return Server(config, app.state.lifecycle, handle_signals=handle_signals)


def shared_socket(host: str, port: int) -> socket.socket:
    """Return a socket bound to a port that other processes of this user may listen on too.

    It does not listen yet, so the kernel sends it nobody.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((host, port))
    return bound


def serve(
    app: FastAPI, settings: ServiceSettings, *, share_port: bool = False, **uvicorn_overrides: Any
) -> None:
    """Run a service until it is told to stop. Blocks.

    Exits the process with status 3 when a component did not start or the port is taken.

    Args:
        app: what `create_app` returned.
        settings: the same settings.
        share_port: listen beside other processes on the same port; the kernel spreads connections.
        **uvicorn_overrides: options of `uvicorn.Config`, such as `ws=`.
    """
    logs.configure(settings, app.state.service)
    server = _server(app, settings, uvicorn_overrides, handle_signals=True)
    sockets: list[socket.socket] | None = None
    if share_port:
        try:
            sockets = [shared_socket(settings.http_host, settings.http_port)]
        except OSError as error:
            log.error("port not bound", extra={"port": settings.http_port, "error": str(error)})
            sys.exit(3)
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:  # uvloop
        runner.run(server.serve(sockets))


@asynccontextmanager
async def running(
    app: FastAPI, settings: ServiceSettings, **uvicorn_overrides: Any
) -> AsyncGenerator[str]:
    """Run a service inside this event loop, for tests; yields its base URL.

    Listens on 127.0.0.1 and a free port unless told otherwise; drains when left.

    Raises:
        RuntimeError: it did not start.
    """
    overrides = {"host": "127.0.0.1", "port": 0} | uvicorn_overrides
    server = _server(app, settings, overrides, handle_signals=False)

    async def run() -> None:
        try:
            await server.serve()
        except SystemExit as error:
            raise RuntimeError("the service did not start; see its log") from error

    task = asyncio.create_task(run())
    listening = asyncio.create_task(server.listening.wait())
    await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
    if not server.listening.is_set():
        listening.cancel()
        await task
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.leave()
        await task
