"""A cluster of three RabbitMQ 4 nodes in containers, and the services on it as local processes.

Each node has two networks: one of its own, for clients, and one between the nodes. Taken off the
latter it is cut off from the others while its clients still reach it: a partition, and not a node
that has gone.
"""

import asyncio
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Any

import psutil
from engines.fleet import EDGES, Fleet

from tapewire.broker.permissions import USERS, definitions
from tapewire.fleet.ports import take

IMAGE = os.environ.get("TAPEWIRE_TEST_RABBITMQ_IMAGE", "rabbitmq:4-management")
NODES = 3
SERVICES = (*EDGES, "ingest", "desk")
PREFIX = "tapewire-faults"
HOME = ("name", "pid")
FORMED_WITHIN_S = 240.0  # three brokers begin at once, on two cores

CONFIG = """\
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.classic_config.nodes.1 = rabbit@tw1
cluster_formation.classic_config.nodes.2 = rabbit@tw2
cluster_formation.classic_config.nodes.3 = rabbit@tw3
cluster_partition_handling = pause_minority
# Its default of 60 s is the time that a node takes to see that another is cut off.
net_ticktime = 8
log.console = true
log.file = false
raft.wal_max_size_bytes = 67108864
"""


class ClusterFleet(Fleet):
    """Two edges, ingest and desk on three brokers; only brokers are struck."""

    engine = "cluster"

    def __init__(self, directory: Path) -> None:
        import docker

        self._docker = docker.from_env()
        self._name = f"{PREFIX}-{os.getpid()}"
        self._directory = directory
        self._passwords = {user: secrets.token_urlsafe(16) for user in USERS}
        self._containers: list[Any] = []
        self._networks: list[Any] = []
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.jwt_secret = secrets.token_urlsafe(32)
        ports = take(NODES + len(SERVICES))
        self._amqp_ports = ports[:NODES]
        self._ports = dict(zip(SERVICES, ports[NODES:], strict=True))

    def up(self) -> "ClusterFleet":
        """Form the cluster, import the definitions into it, start the services."""
        self._remove_orphans()
        (self._directory / "rabbitmq.conf").write_text(CONFIG)
        (self._directory / "enabled_plugins").write_text("[rabbitmq_consistent_hash_exchange].\n")
        (self._directory / "definitions.json").write_text(json.dumps(definitions(self._passwords)))
        for path in self._directory.glob("*"):
            path.chmod(0o644)
        self._directory.chmod(0o755)
        self.between = self._network("z-between", internal=True)
        cookie = secrets.token_hex(20)
        for number, port in enumerate(self._amqp_ports, 1):
            self._containers.append(self._container(number, port, cookie))
        asyncio.run(self._formed())
        # Imported now and not at the first node's start: a quorum queue has its replicas on the
        # nodes that are there when it is declared.
        self.ctl(0, "import_definitions", "/etc/tapewire/definitions.json")
        for name in SERVICES:
            self._processes[name] = self._service(name)
        asyncio.run(self.until_ready())
        return self

    def _remove_orphans(self) -> None:
        """Remove what campaigns left that were killed: their pid is in the names."""
        left = [*self._docker.containers.list(all=True), *self._docker.networks.list()]
        for thing in left:
            found = re.match(rf"{PREFIX}-(\d+)-", thing.name)
            if found and not psutil.pid_exists(int(found[1])):
                thing.remove(**({"force": True, "v": True} if hasattr(thing, "kill") else {}))

    def _network(self, name: str, **options: Any):
        network = self._docker.networks.create(f"{self._name}-{name}", **options)
        self._networks.append(network)
        return network

    def _container(self, number: int, port: int, cookie: str):
        front = self._network(f"a-front{number}")
        mounts = {
            str(self._directory / "rabbitmq.conf"): "/etc/rabbitmq/rabbitmq.conf",
            str(self._directory / "enabled_plugins"): "/etc/rabbitmq/enabled_plugins",
            str(self._directory / "definitions.json"): "/etc/tapewire/definitions.json",
        }
        container = self._docker.containers.create(
            IMAGE,
            name=f"{self._name}-{number}",
            hostname=f"tw{number}",
            environment={"RABBITMQ_ERLANG_COOKIE": cookie},
            network=front.name,
            ports={"5672/tcp": ("127.0.0.1", port)},
            volumes={host: {"bind": inside, "mode": "ro"} for host, inside in mounts.items()},
        )
        self.between.connect(container, aliases=[f"tw{number}"])
        container.start()
        return container

    def _service(self, name: str) -> subprocess.Popen[bytes]:
        module = name.partition("-")[0]
        environment = os.environ | {
            "TAPEWIRE_AMQP_URL": self.amqp_urls(module, first=SERVICES.index(name)),
            "TAPEWIRE_JWT_SECRET": self.jwt_secret,
            "TAPEWIRE_HTTP_HOST": "127.0.0.1",
            "TAPEWIRE_HTTP_PORT": str(self._ports[name]),
            "TAPEWIRE_DATA_DIR": str(self._directory),
            "TAPEWIRE_LOG_FORMAT": "console",
        }
        with (self._directory / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"tapewire.{module}"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    # Fleet

    def url(self, node: str) -> str:
        return f"http://127.0.0.1:{self._ports[node]}"

    def amqp_url(self, user: str = "producer") -> str:
        for port in self._amqp_ports:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as probe:
                probe.sendall(b"AMQP\0\0\x09\x01")
                probe.settimeout(1)
                if probe.recv(1):  # Docker's proxy accepts for a node that has gone
                    return self._url(user, port)
        return self._url(user, self._amqp_ports[0])

    def amqp_urls(self, user: str, *, first: int = 0) -> str:
        """Return the URLs of every node, for who takes several; begin with any."""
        at = first % NODES
        ports = [*self._amqp_ports[at:], *self._amqp_ports[:at]]
        return ",".join(self._url(user, port) for port in ports)

    def _url(self, user: str, port: int) -> str:
        return f"amqp://{user}:{self._passwords[user]}@127.0.0.1:{port}/%2F"

    async def until_ready(self, *nodes: str, timeout_s: float = FORMED_WITHIN_S) -> None:
        await super().until_ready(*(nodes or SERVICES), timeout_s=timeout_s)

    async def kill(self, node: str, number: Signals = SIGKILL) -> None:
        raise NotImplementedError("only brokers are struck here")

    async def stop(self, node: str) -> None:
        raise NotImplementedError("only brokers are struck here")

    async def start(self, node: str) -> None:
        raise NotImplementedError("only brokers are struck here")

    def log(self, node: str) -> str:
        return (self._directory / f"{node}.log").read_text(errors="replace")

    def close(self) -> None:
        for process in self._processes.values():
            process.send_signal(SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for container in self._containers:
            container.remove(force=True, v=True)
        for network in self._networks:
            network.remove()
        self._docker.close()

    # Brokers

    def ctl(self, index: int, *arguments: str) -> str:
        """Run `rabbitmqctl` on a node.

        Raises:
            RuntimeError: it failed.
        """
        done = self._containers[index].exec_run(["rabbitmqctl", "-q", *arguments])
        if done.exit_code:
            raise RuntimeError(f"rabbitmqctl {' '.join(arguments)}: {done.output.decode()}")
        return done.output.decode()

    async def _formed(self) -> None:
        """Wait until every node sees every node."""
        until = time.monotonic() + FORMED_WITHIN_S
        while time.monotonic() < until:
            with suppress(Exception):
                seen = [
                    await asyncio.to_thread(self.ctl, index, "cluster_status", "--formatter=json")
                    for index in range(NODES)
                ]
                if all(len(json.loads(text)["running_nodes"]) == NODES for text in seen):
                    return
            await asyncio.sleep(0.5)
        raise TimeoutError(f"no cluster within {FORMED_WITHIN_S:.0f} s")

    async def leader_of(self, queue: str) -> int:
        """Return the node on which a quorum queue has its leader."""
        text = await asyncio.to_thread(
            self.ctl, 0, "list_queues", "--no-table-headers", "name", "leader"
        )
        leaders = dict(line.split("\t") for line in text.splitlines() if "\t" in line)
        return int(leaders[queue].removeprefix("rabbit@tw")) - 1

    async def homes_of(self, queues: Iterable[str]) -> dict[str, int]:
        """Return the node on which each of these classic queues lives."""
        wanted = set(queues)
        text = await asyncio.to_thread(self.ctl, 0, "list_queues", "--no-table-headers", *HOME)
        homes = dict(line.split("\t") for line in text.splitlines() if "\t" in line)
        return {
            name: int(re.search(r"rabbit@tw(\d)", pid)[1]) - 1
            for name, pid in homes.items()
            if name in wanted
        }

    @asynccontextmanager
    async def broker_down(self, index: int) -> AsyncIterator[None]:
        """SIGKILL a node, leave it down meanwhile, start it, and wait until all is whole."""
        container = self._containers[index]
        await asyncio.to_thread(container.kill)
        try:
            yield
        finally:
            await asyncio.to_thread(container.start)
            await self._formed()
            await self.until_ready()

    async def kill_broker(self, index: int, *, down_s: float) -> None:
        """SIGKILL a node, leave it down, start it, and wait until the cluster is whole."""
        async with self.broker_down(index):
            await asyncio.sleep(down_s)

    async def cut_off(self, index: int, *, seconds: float) -> None:
        """Part a node from the others; its clients still reach it."""
        container = self._containers[index]
        await asyncio.to_thread(self.between.disconnect, container)
        try:
            await asyncio.sleep(seconds)
        finally:
            alias = [f"tw{index + 1}"]
            await asyncio.to_thread(self.between.connect, container, aliases=alias)
        await self._formed()
        await self.until_ready()
