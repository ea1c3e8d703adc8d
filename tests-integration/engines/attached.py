"""A fleet that somebody else started: `tapewire up`, of processes or under Compose."""

import asyncio
import json
import subprocess
from pathlib import Path
from urllib.parse import quote, urlsplit

import docker

from engines.containers import ROOT, ContainerFleet
from engines.fleet import EDGES, EngineAbsent, Fleet
from engines.process import ProcessFleet
from tapewire.fleet import record
from tapewire.fleet.options import Options


def attach(path: Path) -> Fleet:
    """Return the fleet that a `fleet.json` tells of. Closing it leaves it running.

    Raises:
        EngineAbsent: it has not the two edges that tests count on.
    """
    told = record.Fleet.read(path.resolve().parent)
    if told.engine == "compose":
        return AttachedContainers(told)
    if len(told.urls.edge) < len(EDGES):
        raise EngineAbsent("the fleet needs two edges: tapewire up --edges 2")
    return AttachedProcesses(Options(told.run_dir, edges=len(told.urls.edge)))


class AttachedProcesses(ProcessFleet):
    """Processes under somebody's supervisor."""

    def close(self) -> None:
        """Leave it running."""


class AttachedContainers(ContainerFleet):
    """The project of `docker-compose.yml`. Its services have no ports but the proxy's."""

    def __init__(self, told: record.Fleet) -> None:
        self._told = told
        self._engine = docker.from_env()
        self.project = json.loads(self.compose("config", "--format", "json"))["name"]
        self.front = told.urls.dashboard
        self.jwt_secret = told.jwt_secret
        drawn = json.loads(self.compose("run", "--rm", "--no-deps", "-T", "secrets", "show"))
        self._passwords = drawn["amqp"]
        for edge in EDGES:
            try:
                self._container(edge)
            except ValueError:
                raise EngineAbsent(f"{edge} has no container: tapewire up --edges 2") from None

    def compose(self, *arguments: str) -> str:
        command = ["docker", "compose", "--project-directory", str(ROOT), *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def url(self, node: str) -> str:
        """Return the proxy's URL, for an edge too: it chooses one."""
        return self.front

    def amqp_url(self, user: str = "producer") -> str:
        where = urlsplit(self._told.amqp)
        password = quote(self._passwords[user], safe="")
        return f"amqp://{user}:{password}@{where.hostname}:{where.port}/%2F"

    async def is_ready(self, node: str) -> bool:
        """Whether the container is healthy, as its own check says."""
        container = await asyncio.to_thread(self._container, node)
        return container.attrs["State"].get("Health", {}).get("Status") == "healthy"

    def close(self) -> None:
        """Leave it running."""
        self._engine.close()
