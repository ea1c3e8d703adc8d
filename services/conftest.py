"""What the services' component tests share: a cable to the broker, taps on its exchanges, SQL.

| fixture | what |
|---|---|
| `cable` | the way to the test's vhost, which the test can cut and unplug |
| `rabbit` | the test's own connection: taps, publishing, queue depths |
| `until` | waits for a condition, with a deadline |
| `launch` | starts a service as a process, which the test may kill |
| `postgres_url` | a fresh database on this machine's PostgreSQL, or on one in a container |
| `database_url` | the test runs on both: SQLite and PostgreSQL |
"""

import asyncio
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tapewire.broker import Delivery, Link, Role, declare
from tapewire.broker.topology import FLEET, Binding, Queue
from tapewire.fleet.cable import Cable

PATIENCE_S = 60.0  # two loaded cores; what is waited for takes milliseconds


class Broker:
    """The test's own connection to its vhost: taps, publishing, queue depths."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._taps = 0

    async def tap(self, exchange: str, routing_key: str = "#") -> list[Delivery]:
        """Return a list to which everything is added that ``exchange`` routes from now on."""
        self._taps += 1
        queue = Queue(
            f"tap-{self._taps}",
            {"x-queue-type": "classic"},
            (Binding(exchange, routing_key),),
            exclusive=True,
        )
        await declare(self._link, [queue])
        return await self.consume(queue.name)

    async def consume(self, queue: str) -> list[Delivery]:
        """Return a list to which everything is added that ``queue`` delivers from now on."""
        channel = await self._link.channel(timeout_s=PATIENCE_S)
        arrived: list[Delivery] = []

        async def arrive(message: object) -> None:
            arrived.append(Delivery.of(message))  # type: ignore[arg-type]

        await channel.basic_consume(queue, arrive, no_ack=True)
        return arrived

    async def publish(
        self, exchange: str, routing_key: str, body: bytes, **properties: object
    ) -> None:
        """Publish with a confirm, with no property but those given."""
        from aiormq import spec

        channel = await self._link.channel(confirms=True, timeout_s=PATIENCE_S)
        await channel.basic_publish(
            body,
            exchange=exchange,
            routing_key=routing_key,
            properties=spec.Basic.Properties(**properties),  # type: ignore[arg-type]
        )
        await channel.close()

    async def delete(self, queue: str) -> None:
        """Delete ``queue`` with all that is in it."""
        channel = await self._link.channel(timeout_s=PATIENCE_S)
        await channel.queue_delete(queue)
        await channel.close()

    async def purge(self, queue: str) -> None:
        """Throw away what waits in ``queue``."""
        channel = await self._link.channel(timeout_s=PATIENCE_S)
        await channel.queue_purge(queue)
        await channel.close()

    async def depth(self, queue: str) -> int:
        """Return how many messages wait in ``queue``."""
        channel = await self._link.channel(timeout_s=PATIENCE_S)
        try:
            return (await channel.queue_declare(queue, passive=True)).message_count or 0
        finally:
            if not channel.is_closed:
                await channel.close()


@pytest.fixture
async def cable(broker_url: str) -> AsyncIterator[Cable]:
    """The way to the test's vhost that a test can break; itself is never in the way."""
    relay = Cable(broker_url)
    await relay.start()
    yield relay
    await relay.stop()


@pytest.fixture
async def rabbit(broker_url: str) -> AsyncIterator[Broker]:
    """The test's own connection, past the cable, with the fleet's topology declared."""
    link = Link(broker_url, Role.TOPOLOGY, name="test")
    await link.start()
    await declare(link, FLEET)
    yield Broker(link)
    await link.close()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Wait until a condition, plain or async, holds; fail when it does not by the deadline."""

    async def wait(condition: Callable[[], object], *, timeout_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            if time.monotonic() > deadline:
                pytest.fail(f"not true within {timeout_s:g} s", pytrace=True)
            await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start `python -m tapewire.<name>` (or a script) in an environment; killed after the test."""
    processes: list[subprocess.Popen[bytes]] = []
    common = {
        "TAPEWIRE_JWT_SECRET": "a secret of thirty-two bytes or more",
        "TAPEWIRE_HTTP_PORT": "0",
        "TAPEWIRE_DATA_DIR": str(tmp_path),
    }

    def start(name: str, script: str | None = None, **environment: str) -> subprocess.Popen[bytes]:
        arguments = ["-m", f"tapewire.{name}"] if script is None else ["-c", script]
        with (tmp_path / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                env=os.environ | common | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


POSTGRES_IMAGE = os.environ.get("TAPEWIRE_TEST_POSTGRES_IMAGE", "postgres:17")


@pytest.fixture(scope="session")
def _postgres_server(docker_missing: str | None) -> Iterator[str]:
    """The URL of a PostgreSQL server without a database's name."""
    if (binaries := _postgres_binaries()) is not None:
        yield from _local_postgres(binaries)
    else:
        yield from _postgres_in_a_container(docker_missing)


@pytest.fixture
def postgres_url(_postgres_server: str) -> Iterator[str]:
    """The URL of a fresh database."""
    name = f"test_{secrets.token_hex(6)}"
    _apart(_execute(f"{_postgres_server}/postgres", f"CREATE DATABASE {name}"))
    yield f"{_postgres_server}/{name}"
    _apart(_execute(f"{_postgres_server}/postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/test.sqlite3"
    return request.getfixturevalue("postgres_url")


def _postgres_binaries() -> Path | None:
    """The newest PostgreSQL of this machine; Debian keeps it off the PATH."""
    if (found := shutil.which("initdb")) is not None:
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


def _local_postgres(binaries: Path) -> Iterator[str]:
    # PostgreSQL refuses to run as root; Debian's package made the user postgres for it.
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    directory = Path(tempfile.mkdtemp(prefix="tapewire-postgres-"))
    try:
        if user:
            shutil.chown(directory, "postgres", "postgres")
        data = directory / "data"
        initdb = [binaries / "initdb", "-D", data, "-U", "tapewire", "-A", "trust", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, cwd="/", timeout=60, **user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = {"port": port, "listen_addresses": "127.0.0.1", "fsync": "off"}
        options |= {"unix_socket_directories": str(directory)}
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, *(f"--{k}={v}" for k, v in options.items())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **user,
        )
        url = f"postgresql://tapewire@127.0.0.1:{port}"
        try:
            _apart(_until_it_answers(f"{url}/postgres"))
            yield url
        finally:
            server.terminate()
            server.wait(30)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _postgres_in_a_container(docker_missing: str | None) -> Iterator[str]:
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # stopped below
    from testcontainers.community.postgres import PostgresContainer

    if docker_missing:
        pytest.skip(f"NOT TESTED on PostgreSQL: it is not installed, and {docker_missing}")
    with PostgresContainer(POSTGRES_IMAGE, driver=None) as container:
        yield container.get_connection_url().rpartition("/")[0]


async def _until_it_answers(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            await _execute(url, "SELECT 1")
            return
        except (OSError, asyncpg.PostgresError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=int(PATIENCE_S))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _apart(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run it in an event loop of its own, away from the one of the tests."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(coroutine)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
