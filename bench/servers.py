"""Processes under test, started on their core and ended whatever happens."""

import asyncio
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx

from bench.machine import CLIENT_CORE, SERVER_CORE, pinned
from tapewire.fleet.rabbitmq import BrokerFailed, Node
from tapewire.fleet.running_node import RunningNode

SECRET: Final = "a secret for benchmarks only, long enough"
START_S: Final = 60.0


class NotHere(RuntimeError):
    """What a scenario needs is not installed; the message says what."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def reachable(port: int, process: asyncio.subprocess.Process) -> None:
    """Return once ``port`` takes connections."""
    async with asyncio.timeout(START_S):
        while process.returncode is None:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)
    raise NotHere(f"ended with code {process.returncode}")


@asynccontextmanager
async def server(
    argv: Sequence[str],
    *ports: int,
    env: Mapping[str, str] | None = None,
    cores: Sequence[int] = (SERVER_CORE,),
    log: Path | None = None,
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a server; yields it once all ``ports`` take connections. Killed at the end."""
    output = (log or Path(tempfile.gettempdir()) / "tapewire-bench-server.log").open("wb")
    with pinned(*cores):
        process = await asyncio.create_subprocess_exec(
            *argv,
            env={**os.environ, **(env or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    output.close()
    try:
        for port in ports:
            await reachable(port, process)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@contextmanager
def broker(plugins: Sequence[str] = (), extra: str = "") -> Generator[Node]:
    """Run a private RabbitMQ node on the clients' core, on an empty directory."""
    with running_broker(plugins, extra) as running:
        yield running.node


@contextmanager
def running_broker(plugins: Sequence[str] = (), extra: str = "") -> Generator[RunningNode]:
    """Run a broker that can be stopped and started again."""
    directory = Path(tempfile.mkdtemp(prefix="tapewire-bench-"))
    node = Node.create(directory)
    if plugins or extra:
        node = _With.of(node, plugins, extra)
    running = RunningNode(node)
    try:
        with pinned(CLIENT_CORE):
            running.start()
        yield running
    finally:
        running.kill()
        shutil.rmtree(directory, ignore_errors=True)


class _With(Node):
    """A node with further plugins and settings."""

    plugins: tuple[str, ...]
    extra: str

    @classmethod
    def of(cls, node: Node, plugins: Sequence[str], extra: str) -> "_With":
        made = cls(
            *(node.directory, node.amqp_port, node.dist_port, node.admin, node.definitions),
            *(node.installation, node.epmd_port),
        )
        object.__setattr__(made, "plugins", tuple(plugins))
        object.__setattr__(made, "extra", extra)
        return made

    def prepare(self) -> None:
        """Add to what every node has."""
        super().prepare()
        from tapewire.fleet.rabbitmq import PLUGINS

        with (self.directory / "rabbitmq.conf").open("a") as conf:
            conf.write(self.extra)
        enabled = ",".join((*PLUGINS, *self.plugins))
        (self.directory / "enabled_plugins").write_text(f"[{enabled}].\n")


def beam(node: Node) -> int:
    """Return the pid of the Erlang machine that a node is."""
    answer = node.eval("os:getpid()")
    digits = "".join(filter(str.isdigit, answer))
    if not digits:
        raise BrokerFailed(f"no pid in {answer!r}")
    return int(digits)


def vhost(node: Node) -> str:
    """Add an empty vhost; return its URL."""
    return node.add_vhost(f"bench-{secrets.token_hex(4)}")


@asynccontextmanager
async def service(
    name: str,
    amqp: str,
    *arguments: str,
    cores: Sequence[int] = (SERVER_CORE,),
    **env: str,
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, int]]:
    """Run a service of the fleet; yields its process and port once it is ready."""
    port = free_port()
    settings = {
        "TAPEWIRE_AMQP_URL": amqp,
        "TAPEWIRE_JWT_SECRET": SECRET,
        "TAPEWIRE_HTTP_HOST": "127.0.0.1",
        "TAPEWIRE_HTTP_PORT": str(port),
        "TAPEWIRE_LOG_LEVEL": "WARNING",
        **env,
    }
    argv = (sys.executable, "-m", f"tapewire.{name}", *arguments)
    log = Path(tempfile.gettempdir()) / f"tapewire-bench-{name}.log"
    async with server(argv, port, env=settings, cores=cores, log=log) as process:
        async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(START_S):
            while True:
                with suppress(httpx.HTTPError):
                    if (await http.get(f"http://127.0.0.1:{port}/readyz")).is_success:
                        break
                await asyncio.sleep(0.05)
        yield process, port
