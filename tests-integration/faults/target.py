"""What strikes need of a running fleet beyond its engine: the broker's inside, and substitutes."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM

import aio_pika
import psutil
from aiormq.exceptions import AMQPError, ChannelNotFoundEntity
from engines import Fleet

from tapewire.fleet.cable import Cable
from tapewire.fleet.installation import Installation
from tapewire.fleet.rabbitmq import Account, Node

TOOLS = Path(__file__).parents[1]
LEAVES_WITHIN_S = 40.0  # longer than a drain


class Absent(RuntimeError):
    """This fleet or machine cannot be struck so; says why."""


class Target:
    """A fleet to be struck."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    # The broker

    async def eval(self, expression: str) -> str:
        """Evaluate an Erlang expression on the broker's node.

        Raises:
            Absent: the engine gives no way to.
        """
        if self.fleet.engine == "containers":
            ctl = ("exec", "-T", "rabbitmq", "rabbitmqctl", "eval")
            return await asyncio.to_thread(self.fleet.compose, *ctl, f"{expression}.")
        if self.fleet.engine == "process":
            return await asyncio.to_thread(self._node().eval, expression)
        raise Absent(f"no way into the broker of the engine {self.fleet.engine!r}")

    def _node(self) -> Node:
        environment = self.process("rabbitmq").environ()
        installation = Installation.find()
        if installation is None:
            raise Absent("erl_call is not installed")
        directory = Path(environment["HOME"]).parent
        dist_port = int(environment["RABBITMQ_DIST_PORT"])
        return Node(directory, 0, dist_port, Account("operator", ""), {}, installation)

    async def depths(self, queues: Iterable[str]) -> dict[str, int]:
        """Return how many messages wait in each queue; one that does not exist is empty."""
        connection = await aio_pika.connect(self.fleet.amqp_url("operator"), timeout=10)
        found: dict[str, int] = {}
        try:
            channel = await connection.channel()
            for queue in queues:
                try:
                    declared = await channel.declare_queue(queue, passive=True)
                    found[queue] = declared.declaration_result.message_count or 0
                except ChannelNotFoundEntity:
                    found[queue] = 0
                    channel = await connection.channel()
        finally:
            await connection.close()
        return found

    async def drained(
        self, queues: Sequence[str], before: Mapping[str, int], *, deadline_s: float
    ) -> dict[str, int]:
        """Return what the depths are above ``before``.

        Once all are 0 twice in a row, or when the deadline has passed.
        """
        loop = asyncio.get_running_loop()
        until, quiet, depths = loop.time() + deadline_s, 0, {}
        while quiet < 2 and loop.time() < until:
            with suppress(AMQPError, OSError, TimeoutError):
                found = await self.depths(queues)
                depths = {name: max(0, n - before.get(name, 0)) for name, n in found.items()}
                quiet = quiet + 1 if not any(depths.values()) else 0
            await asyncio.sleep(0.3)
        return depths or dict.fromkeys(queues, -1)

    # Processes

    def process(self, node: str) -> psutil.Process:
        """Return a node's process.

        Raises:
            Absent: it is no process of this machine's.
        """
        if self.fleet.engine != "process":
            raise Absent("the services are not processes of this machine")
        return self.fleet.process(node)

    @asynccontextmanager
    async def substitute(
        self,
        node: str,
        *,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run a process of ours in a service's place meanwhile: its port, its settings, but these.

        Args:
            command: in place of the service's own.
            environment: what is different.
        """
        process = self.process(node)
        before, argv, cwd = process.environ(), process.cmdline(), process.cwd()
        path = os.pathsep.join(filter(None, [str(TOOLS), before.get("PYTHONPATH")]))
        await self.fleet.stop(node)
        with (Path(cwd) / "logs" / f"{node}.substitute.log").open("ab") as log:
            ours = await asyncio.create_subprocess_exec(
                *(command or argv),
                env=before | {"PYTHONPATH": path} | dict(environment or {}),
                cwd=cwd,
                stdout=log,
                stderr=log,
            )
        try:
            await self.fleet.until_ready(node)
            yield ours
        finally:
            await _end(ours)
            await self.fleet.start(node)

    @asynccontextmanager
    async def behind_cable(self, *nodes: str) -> AsyncIterator[list[Cable]]:
        """Put a cable between services and the broker meanwhile."""
        cables: list[Cable] = []
        async with AsyncExitStack() as stack:
            for node in nodes:
                cable = Cable(self.process(node).environ()["TAPEWIRE_AMQP_URL"])
                url = await cable.start()
                stack.push_async_callback(cable.stop)
                await stack.enter_async_context(
                    self.substitute(node, environment={"TAPEWIRE_AMQP_URL": url})
                )
                cables.append(cable)
            yield cables


def python(*arguments: str | Mapping) -> list[str]:
    """Return a command of this interpreter; mappings become JSON."""
    return [sys.executable, *(a if isinstance(a, str) else json.dumps(a) for a in arguments)]


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(SIGTERM)
        try:
            async with asyncio.timeout(LEAVES_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.send_signal(SIGKILL)
            await process.wait()
