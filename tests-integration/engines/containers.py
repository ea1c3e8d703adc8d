"""A fleet in containers: `docker-compose.yml` as it is shipped, on a network of its own.

Images are built when the sources changed (the engine's layer cache decides), every service gets
a port on 127.0.0.1 that stays the same when its container is started again, and the trader of the
demo stays out.
"""

import asyncio
import functools
import json
import os
import re
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from urllib.parse import quote

import docker
import psutil

from engines.fleet import SERVICES, SETTINGS, EngineAbsent, Fleet
from tapewire.fleet.ports import take

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "tapewire-test"
STOP_TIMEOUT_S = 60  # longer than a drain


@functools.cache
def absence() -> str | None:
    """Why there can be no such fleet here, or None."""
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"`{' '.join(command)}`: {error}"
        if done.returncode:
            return f"`{' '.join(command)}`: {done.stderr.strip()[:200]}"
    return None


def start(directory: Path, replay: Path | None = None) -> Fleet:
    """Build the images, start the fleet, and wait until all of it is ready."""
    if reason := absence():
        raise EngineAbsent(reason)
    _remove_orphans()
    fleet = ContainerFleet(directory, replay)
    try:
        fleet.up()
    except BaseException:
        fleet.close()
        raise
    return fleet


def _remove_orphans() -> None:
    """Remove what test runs left that were killed: their pid is in the project's name."""
    label = "com.docker.compose.project"
    with closing(docker.from_env()) as engine:
        containers = engine.containers.list(True, filters={"label": label})
        projects = {container.labels[label] for container in containers}
    for project in projects:
        found = re.fullmatch(rf"{PROJECT}-(\d+)(-replay)?", project)
        if found and not psutil.pid_exists(int(found[1])):
            command = ["docker", "compose", "-p", project, "down", "--volumes", "--timeout", "1"]
            subprocess.run(command, capture_output=True, check=True, cwd=tempfile.gettempdir())


class ContainerFleet(Fleet):
    """A Compose project."""

    engine = "containers"

    def __init__(self, directory: Path, replay: Path | None = None) -> None:
        from testcontainers.compose import DockerCompose

        front, amqp, *ports = take(2 + len(SERVICES))
        self._ports = dict(zip(SERVICES, ports, strict=True))
        self._amqp_port = amqp
        self._passwords: dict[str, str] = {}
        self._engine = docker.from_env()
        self.front = f"http://127.0.0.1:{front}"
        self.project = f"{PROJECT}-{os.getpid()}" + ("-replay" if replay else "")
        override = directory / "compose.override.yml"
        override.write_text(json.dumps(self._override(replay)))  # JSON is YAML
        variables = directory / "compose.env"
        told = f"TAPEWIRE_PORT={front}\nTAPEWIRE_AMQP_PORT={amqp}\nTAPEWIRE_VERSION=test\n"
        variables.write_text(told + (f"TAPEWIRE_PRICES={replay.parent}\n" if replay else ""))
        self._compose = DockerCompose(
            ROOT,
            ["docker-compose.yml", str(override)],
            build=True,
            wait=False,
            env_file=str(variables),
        )

    def _override(self, replay: Path | None) -> dict:
        services: dict = {
            name: {"ports": [f"127.0.0.1:{port}:8080"], "environment": SETTINGS}
            for name, port in self._ports.items()
        }
        if replay:  # as `tapewire up --engine compose --replay` says it
            services["market"]["environment"] = SETTINGS | {
                "TAPEWIRE_MARKET_FEEDS": "producers,replay",
                "TAPEWIRE_MARKET_REPLAY_FILE": f"/prices/{replay.name}",
                "TAPEWIRE_MARKET_REPLAY_SPEED": os.environ.get("TAPEWIRE_MARKET_REPLAY_SPEED", "1"),
            }
        return {"name": self.project, "services": services | {"trader": {"profiles": ["demo"]}}}

    def up(self) -> None:
        """Bring the project up."""
        self._compose.start()
        drawn = json.loads(self.compose("run", "--rm", "--no-deps", "-T", "secrets", "show"))
        self.jwt_secret, self._passwords = drawn["jwt_secret"], drawn["amqp"]
        asyncio.run(self.until_ready())

    def compose(self, *arguments: str) -> str:
        """Run a `docker compose` command on the project; return what it printed."""
        command = [*self._compose.docker_compose_command(), *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def url(self, node: str) -> str:
        return f"http://127.0.0.1:{self._ports[node]}"

    def amqp_url(self, user: str = "producer") -> str:
        password = quote(self._passwords[user], safe="")
        return f"amqp://{user}:{password}@127.0.0.1:{self._amqp_port}/%2F"

    async def kill(self, node: str, number: Signals = SIGKILL) -> None:
        container = self._container(node)
        if node in SERVICES:  # all but the container's init; it ends, and Docker starts it again
            command = ["sh", "-c", f"kill -{number.value} -1"]
            await asyncio.to_thread(container.exec_run, command)
        else:
            await asyncio.to_thread(container.kill, number.name)
            if number in (SIGKILL, SIGTERM):  # an operator's, in Docker's eyes: it would stay down
                await asyncio.to_thread(container.wait, timeout=STOP_TIMEOUT_S)
                await asyncio.to_thread(container.start)

    async def stop(self, node: str) -> None:
        await asyncio.to_thread(self._container(node).stop, timeout=STOP_TIMEOUT_S)

    async def start(self, node: str) -> None:
        await asyncio.to_thread(self._container(node).start)
        if node in SERVICES:
            await self.until_ready(node)

    def log(self, node: str) -> str:
        return self._container(node).logs().decode(errors="replace")

    def close(self) -> None:
        self.compose("--profile", "demo", "down", "--volumes", "--timeout", "1")
        self._engine.close()

    def _container(self, node: str):
        labels = [
            f"com.docker.compose.project={self.project}",
            f"com.docker.compose.service={node}",
            "com.docker.compose.oneoff=False",
        ]
        (container,) = self._engine.containers.list(True, filters={"label": labels})
        return container
