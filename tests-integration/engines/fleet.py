"""What a test may ask of a running fleet, whatever runs it."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from signal import SIGKILL, Signals
from typing import ClassVar

import httpx

from tapewire.auth import DEFAULT_SCOPES, mint

EDGES = ("edge-1", "edge-2")
SERVICES = (*EDGES, "ingest", "risk", "market", "desk", "dashboard")

SETTINGS = {
    # The tests play the executor, so a rule's emergency really orders a stop.
    "TAPEWIRE_RISK_STOP_MODE": "halt",
    "TAPEWIRE_MARKET_FEEDS": "producers,simulated",
    # A suite's connections all come from one address and one user may open many.
    "TAPEWIRE_EDGE_HANDSHAKES_PER_S": "1000",
}
"""Environment of every service, on every engine."""

READY_TIMEOUT_S = 90.0  # two loaded cores; a quiet machine takes 10


class EngineAbsent(RuntimeError):
    """This machine lacks what the engine needs."""


class Fleet(ABC):
    """A running fleet: where it is, who may come in, and the faults that can be caused.

    A node is `edge-1`, `edge-2`, `ingest`, `risk`, `market`, `desk`, `dashboard` or `rabbitmq`.
    """

    engine: ClassVar[str]
    jwt_secret: str
    front: str | None = None
    """Base URL of the proxy in front of everything, where there is one."""

    @abstractmethod
    def url(self, node: str) -> str:
        """Return a service's HTTP base URL."""

    def socket_url(self, edge: str = "edge-1") -> str:
        """Return the URL of an edge's WebSocket."""
        return self.url(edge).replace("http", "ws", 1) + "/ws"

    @abstractmethod
    def amqp_url(self, user: str = "producer") -> str:
        """Return the broker's URL for one of its users (`tapewire.broker.permissions`)."""

    def token(self, user: str, *, scopes: Iterable[str] = DEFAULT_SCOPES, **claims) -> str:
        """Return a token that the fleet accepts, unless `claims` of `mint` spoil it."""
        return mint(self.jwt_secret, user, scopes=scopes, **claims)

    @abstractmethod
    async def kill(self, node: str, number: Signals = SIGKILL) -> None:
        """Send the node's process a signal. One that dies of it is started again by the engine."""

    @abstractmethod
    async def stop(self, node: str) -> None:
        """Stop a node as an operator would; returns when it is down, and it stays so."""

    @abstractmethod
    async def start(self, node: str) -> None:
        """Start a stopped node; returns when it is ready."""

    async def restart(self, node: str) -> None:
        """Stop a node and start it again."""
        await self.stop(node)
        await self.start(node)

    @abstractmethod
    def log(self, node: str) -> str:
        """Return what a node has logged so far."""

    @abstractmethod
    def close(self) -> None:
        """End the fleet and everything that it left on the machine."""

    async def is_ready(self, node: str) -> bool:
        """Whether a service says that it is ready."""
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            try:
                return (await client.get(f"{self.url(node)}/readyz")).is_success
            except httpx.HTTPError:
                return False

    async def until_ready(self, *nodes: str, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Wait until services are ready, all of them when none is named."""
        deadline = time.monotonic() + timeout_s
        for node in nodes or SERVICES:
            while not await self.is_ready(node):
                if time.monotonic() > deadline:
                    log = self.log(node)[-4000:]
                    raise TimeoutError(f"{node} is not ready after {timeout_s:.0f} s:\n{log}")
                await asyncio.sleep(0.1)
