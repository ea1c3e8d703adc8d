"""PostgreSQL under desk and risk, restarted and killed; a disk that is full."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any

from faults.target import Absent
from tapewire.fleet.ports import take

if TYPE_CHECKING:
    from faults.world import World

IMAGE = "postgres:17"
NODES = ("desk", "risk")
SHARDS = [f"risk.shard.{n}" for n in range(4)]
READY_WITHIN_S = 60.0


class Postgres:
    """A server in a container, at a port that stays the same when it is started again."""

    def __init__(self) -> None:
        self._password = secrets.token_urlsafe(12)
        (self._port,) = take(1)
        self._container: Any = None

    async def start(self) -> None:
        """Start it, with a database for each of `NODES`.

        Raises:
            Absent: there is no Docker here.
        """
        import docker

        try:
            engine = await asyncio.to_thread(docker.from_env)
            self._container = await asyncio.to_thread(
                engine.containers.run,
                IMAGE,
                detach=True,
                environment={"POSTGRES_PASSWORD": self._password},
                ports={"5432/tcp": ("127.0.0.1", self._port)},
            )
        except docker.errors.DockerException as error:
            raise Absent(f"no {IMAGE}: {error}") from error
        await self._until_ready()
        for node in NODES:
            await self._psql(f"CREATE DATABASE {node}")

    def url(self, node: str) -> str:
        """Return the `DATABASE_URL` of a service."""
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self._port}/{node}"

    async def restart(self, *, kill: bool) -> None:
        """Restart it: in order, as an upgrade would, or by SIGKILL and with a recovery."""
        if kill:
            await asyncio.to_thread(self._container.kill)
            await asyncio.to_thread(self._container.start)
        else:
            await asyncio.to_thread(self._container.restart, timeout=10)
        await self._until_ready()

    async def close(self) -> None:
        """Remove it with its data, if there is one."""
        if self._container is not None:
            await asyncio.to_thread(self._container.remove, force=True, v=True)

    async def _until_ready(self) -> None:
        # Over TCP: while the image makes its database, the server listens on its socket only.
        async with asyncio.timeout(READY_WITHIN_S):
            while (await self._exec("pg_isready", "-q", "-h", "127.0.0.1")).exit_code:
                await asyncio.sleep(0.1)

    async def _psql(self, statement: str) -> None:
        done = await self._exec("psql", "-h", "127.0.0.1", "-U", "postgres", "-c", statement)
        assert done.exit_code == 0, done.output

    async def _exec(self, *command: str):
        known = {"PGPASSWORD": self._password}
        return await asyncio.to_thread(self._container.exec_run, list(command), environment=known)


@asynccontextmanager
async def under_desk_and_risk(world: "World") -> AsyncIterator[Postgres | None]:
    """Have desk and risk keep their state in a PostgreSQL meanwhile; None where they do already.

    What risk began on the one database it would not know on the other, so all that was published
    is through before it goes back.
    """
    if world.fleet.engine == "containers":
        yield None
        return
    server = Postgres()
    try:
        await server.start()
        async with (
            world.target.substitute("desk", environment={"DATABASE_URL": server.url("desk")}),
            world.target.substitute("risk", environment={"DATABASE_URL": server.url("risk")}),
        ):
            yield server
            await asyncio.gather(*(p.finish(READY_WITHIN_S) for p in world.publishers))
            await world.fleet.until_ready(*NODES)
            await world.target.drained(["ingest.inbox", *SHARDS], {}, deadline_s=READY_WITHIN_S)
    finally:
        await server.close()


async def strike(world: "World", rng: Random, server: Postgres | None) -> None:
    """Restart the database, or kill it; return when desk and risk are well again."""
    kill = rng.random() < 0.5
    if server is not None:
        await server.restart(kill=kill)
    elif kill:
        await world.fleet.kill("postgres")
    else:
        await world.fleet.restart("postgres")
    await world.fleet.until_ready(*NODES)
