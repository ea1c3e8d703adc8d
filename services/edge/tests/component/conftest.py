"""A real edge on a real broker, and clients that speak the protocol by hand."""

import asyncio
import json
import os
import resource
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from tapewire.auth import AuthSettings, mint
from tapewire.broker import Link, Publisher, Role, declare, topology
from tapewire.contracts import new_id, parse_event
from tapewire.edge.app import build, server_options
from tapewire.edge.settings import EdgeSettings
from tapewire.service import running

SECRET = "a secret of the component tests, long enough"
DEADLINE_S = 15.0


class Client:
    """One WebSocket client; remembers what it received."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []

    async def send(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def next(self, *types: str, timeout_s: float = DEADLINE_S) -> dict[str, Any]:
        """The next message of these types (any, but heartbeats, when none are named)."""
        async with asyncio.timeout(timeout_s):
            while True:
                message = json.loads(await self.socket.recv())
                self.seen.append(message)
                if message["type"] in types or (not types and message["type"] != "heartbeat"):
                    return message

    async def ids(self, count: int, type_: str = "risk_alert") -> list[str]:
        return [(await self.next(type_))["id"] for _ in range(count)]

    async def quiet(self, for_s: float = 0.3) -> None:
        """Nothing but heartbeats comes for a while."""
        try:
            message = await self.next(timeout_s=for_s)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected {message}")

    async def closed(self, timeout_s: float = DEADLINE_S) -> int:
        """The code with which the server closed."""
        async with asyncio.timeout(timeout_s):
            try:
                while True:
                    self.seen.append(json.loads(await self.socket.recv()))
            except websockets.ConnectionClosed as end:
                return end.rcvd.code if end.rcvd else 1006

    async def ack(self, *ids: str) -> None:
        await self.send(type="ack", ids=list(ids))

    async def round_trip(self) -> None:
        """Everything sent so far has been taken by the edge."""
        await self.send(type="heartbeat")
        await self.next("heartbeat")


class Edge:
    """A running edge."""

    def __init__(self, url: str, app: Any) -> None:
        self.http = url
        self.ws = url.replace("http", "ws", 1) + "/ws"
        self.app = app


class World:
    """One vhost: edges, clients, and what producers publish."""

    def __init__(self, amqp_url: str, stack: AsyncExitStack, queue_type: str) -> None:
        self.amqp_url = amqp_url
        self.queue_type = queue_type
        self.stack = stack
        self.link = Link(amqp_url, Role.PUBLISH, name="test")
        self.publisher = Publisher(self.link, deadline_s=60)

    async def edge(self, auth: AuthSettings | None = None, **settings: Any) -> Edge:
        chosen = EdgeSettings(
            amqp_url=self.amqp_url,
            edge_tick_s=0.02,
            edge_drain_window_s=0.2,
            inbox_queue_type=self.queue_type,
            **settings,
        )
        app = build(chosen, auth or AuthSettings(jwt_secret=SECRET))
        url = await self.stack.enter_async_context(running(app, chosen, **server_options(chosen)))
        edge = Edge(url, app)
        await self.until(lambda: app.state.lifecycle.ready)
        return edge

    async def client(
        self, edge: Edge, user: str = "alice", *, query: str = "", welcome: bool = True, **more: Any
    ) -> Client:
        token = more.pop("token", None) or mint(SECRET, user, **more.pop("claims", {}))
        headers = {"Authorization": f"Bearer {token}"} | more.pop("headers", {})
        opened = await connect(edge.ws + query, additional_headers=headers, **more)
        self.stack.push_async_callback(opened.close)
        client = Client(opened)
        if welcome:
            client.welcome = await client.next("welcome")  # type: ignore[attr-defined]
        return client

    def token(self, user: str, **claims: Any) -> str:
        """A token that edges accept."""
        return mint(SECRET, user, **claims)

    async def open(self, edge: Edge, **options: Any) -> Client:
        """A connection that has said nothing yet."""
        opened = await connect(edge.ws, **options)
        self.stack.push_async_callback(opened.close)
        return Client(opened)

    async def edge_process(
        self, *, open_files: tuple[int, int] | None = None
    ) -> tuple[asyncio.subprocess.Process, Edge]:
        """An edge that can be killed. ``open_files``: soft and hard limit."""
        port = free_port()
        environment = os.environ | {
            "TAPEWIRE_AMQP_URL": self.amqp_url,
            "TAPEWIRE_JWT_SECRET": SECRET,
            "TAPEWIRE_HTTP_PORT": str(port),
            "TAPEWIRE_INBOX_QUEUE_TYPE": self.queue_type,
            "TAPEWIRE_LOG_LEVEL": "ERROR",
        }
        limit = None
        if open_files is not None:
            limit = partial(resource.setrlimit, resource.RLIMIT_NOFILE, open_files)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tapewire.edge"), env=environment, preexec_fn=limit
        )
        self.stack.push_async_callback(ended, process)
        edge = Edge(f"http://127.0.0.1:{port}", None)
        async with httpx.AsyncClient(timeout=60) as http:

            async def ready() -> bool:
                with suppress(httpx.HTTPError):
                    return (await http.get(edge.http + "/readyz")).is_success
                return False

            await self.until_async(ready, timeout_s=60.0)
        return process, edge

    async def consumers_gone(self, queue: str) -> None:
        async def gone() -> bool:
            channel = await self.link.channel()
            found = await channel.queue_declare(queue, passive=True)
            await channel.close()
            return found.consumer_count == 0

        await self.until_async(gone)

    async def until(self, condition: Callable[[], bool], timeout_s: float = DEADLINE_S) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.01)

    async def until_async(
        self, condition: Callable[[], Awaitable[bool]], timeout_s: float = DEADLINE_S
    ) -> None:
        async with asyncio.timeout(timeout_s):
            while not await condition():
                await asyncio.sleep(0.02)

    async def publish(self, **event: Any) -> str:
        parsed = parse_event(event, now=lambda: datetime.now(UTC), make_id=new_id)
        await self.publisher.publish_event(parsed)
        return parsed.id

    async def alert(self, number: int | str, user: str = "alice", level: str = "critical") -> str:
        return await self.publish(
            type="risk_alert",
            id=f"{level}-{number}",
            userId=user,
            sessionId="s-1",
            alertLevel=level,
            alertType="loss_limit",
            message="the limit is near",
            currentValue=91.0,
            threshold=90.0,
        )

    async def decision(self, number: int, user: str = "alice", session: str = "s-1") -> str:
        return await self.publish(
            type="algorithm_decision",
            id=f"d-{number}",
            userId=user,
            sessionId=session,
            algorithmId="a-1",
            decision="buy",
            reasoning="momentum",
            confidence=0.8,
        )

    async def status(self, number: int, user: str = "alice", session: str = "s-1") -> str:
        return await self.publish(
            type="session_status",
            id=f"st-{number}",
            userId=user,
            sessionId=session,
            status="active",
            data={"currentPnL": number},
        )

    async def open_inbox(self, user: str) -> None:
        await declare(self.link, [topology.inbox(user, queue_type=self.queue_type)])

    async def depth(self, name: str) -> int:
        """Messages ready in a queue; -1 when there is no such queue."""
        channel = await self.link.channel()
        try:
            return (await channel.queue_declare(name, passive=True)).message_count or 0
        except Exception:
            return -1
        finally:
            if not channel.is_closed:
                await channel.close()

    async def empty(self, name: str) -> None:
        await self.until_async(lambda: self._is_empty(name))

    async def _is_empty(self, name: str) -> bool:
        return await self.depth(name) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


async def world_on(amqp_url: str, queue_type: str) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        made = World(amqp_url, stack, queue_type)
        await made.link.start()
        await declare(made.link, topology.FLEET)
        yield made
        await stack.aclose()
        await made.link.close()


@pytest.fixture
async def world(broker_url: str) -> AsyncIterator[World]:
    """Classic inboxes: quicker to declare, and no other where one node is all there is."""
    async for made in world_on(broker_url, "classic"):
        yield made


@pytest.fixture
async def quorum_world(any_broker_url: str) -> AsyncIterator[World]:
    """Quorum inboxes, on this machine's RabbitMQ and on RabbitMQ 4."""
    async for made in world_on(any_broker_url, "quorum"):
        yield made
