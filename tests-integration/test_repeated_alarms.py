"""Who acknowledges an alarm hears no more of it; who does not hears it again.

The services that take part, in one process on a real broker: an emergency waits a minute by
default, and half a second here.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import httpx
import pytest
from websockets import ConnectionClosed
from websockets.asyncio.client import ClientConnection, connect

from tapewire.auth import DEFAULT_SCOPES, AuthSettings, mint
from tapewire.broker import Link, Publisher, Role, declare, topology
from tapewire.contracts import new_id
from tapewire.edge.app import build as build_edge
from tapewire.edge.app import server_options
from tapewire.edge.settings import EdgeSettings
from tapewire.ingest.app import build as build_ingest
from tapewire.ingest.settings import IngestSettings
from tapewire.risk.app import build as build_risk
from tapewire.risk.settings import RiskSettings
from tapewire.service import running

SECRET = "a secret of a test, 32 bytes or more"
AUTH = AuthSettings(jwt_secret=SECRET)
DEADLINE_S = 60.0


class Device:
    """A client that acknowledges what it was told to."""

    def __init__(self, socket: ClientConnection, *, acks: Callable[[dict[str, Any]], bool]) -> None:
        self._socket = socket
        self._acks = acks
        self.alerts: list[dict[str, Any]] = []  # each once
        self._news = asyncio.Event()
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            async for text in self._socket:
                message = json.loads(text)
                if message["type"] != "risk_alert":
                    continue
                if self._acks(message):
                    await self.ack(message["id"])
                if message["id"] not in [alert["id"] for alert in self.alerts]:
                    self.alerts.append(message)
                self._news.set()

    async def ack(self, *ids: str) -> None:
        await self._socket.send(json.dumps({"type": "ack", "ids": ids}))

    def of(self, session: str) -> list[dict[str, Any]]:
        return [alert for alert in self.alerts if alert["sessionId"] == session]

    async def until(self, session: str, tellings: int) -> list[dict[str, Any]]:
        """Wait for so many tellings of a session's alarm."""
        async with asyncio.timeout(DEADLINE_S):
            while len(self.of(session)) < tellings:
                self._news.clear()
                await self._news.wait()
        return self.of(session)


@pytest.fixture
async def world(broker_url: str, tmp_path):
    """``await world.device(…)``, ``await world.loses("s-1")``."""

    class World:
        def __init__(self, stack: AsyncExitStack) -> None:
            self.stack = stack

        async def start(self) -> None:
            link = Link(broker_url, Role.PUBLISH, name="test")
            await link.start()
            self.stack.push_async_callback(link.close)
            await declare(link, (*topology.FLEET, topology.risk_shard(0)), timeout_s=30)
            self.publisher = Publisher(link, deadline_s=60)
            risk = RiskSettings(
                amqp_url=broker_url,
                database_url=f"sqlite:///{tmp_path}/risk.sqlite3",
                risk_shards=1,
                risk_tick_s=0.05,
                risk_stop_mode="off",
                risk_repeat_emergency_s=0.5,
                risk_repeat_most=8,
            )
            ingest = IngestSettings(amqp_url=broker_url)
            edge = EdgeSettings(amqp_url=broker_url, edge_drain_window_s=0.2)
            self.risk = await self.stack.enter_async_context(running(build_risk(risk, AUTH), risk))
            await self.stack.enter_async_context(running(build_ingest(ingest, AUTH), ingest))
            self.applied_before = await self.applied()
            app, options = build_edge(edge, AUTH), server_options(edge)
            url = await self.stack.enter_async_context(running(app, edge, **options))
            self.edge = url.replace("http", "ws", 1) + "/ws"

        async def applied(self) -> float:
            """How many acknowledgements risk has applied in this process."""
            async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
                lines = (await http.get(self.risk + "/metrics")).text.splitlines()
            told = [one for one in lines if one.startswith("tapewire_risk_events_total{")]
            mine = [one for one in told if 'type="alert_acknowledged"' in one]
            return sum(float(one.rpartition(" ")[2]) for one in mine)

        async def until_applied(self, count: int) -> None:
            async with asyncio.timeout(DEADLINE_S):
                while await self.applied() - self.applied_before < count:
                    await asyncio.sleep(0.05)

        async def device(self, query: str = "", *, acks: Callable[[dict[str, Any]], bool]):
            token = mint(SECRET, "alice", scopes=DEFAULT_SCOPES)
            headers = {"Authorization": f"Bearer {token}"}
            socket = await connect(self.edge + query, additional_headers=headers)
            self.stack.push_async_callback(socket.close)
            assert json.loads(await socket.recv())["type"] == "welcome"
            return Device(socket, acks=acks)

        async def loses(self, session: str) -> None:
            """Have a session pass its limit: one emergency."""
            for _ in range(2):
                event = {
                    "type": "session_status",
                    "userId": "alice",
                    "sessionId": session,
                    "data": {"currentPnL": -1, "lossLimitUtilization": 120},
                }
                await self.publisher.publish(
                    topology.INGEST,
                    "any",
                    json.dumps(event).encode(),
                    type="session_status",
                    message_id=new_id(),
                )

    async with AsyncExitStack() as stack:
        made = World(stack)
        await made.start()
        yield made


async def test_only_what_no_person_acknowledged_is_told_again(world):
    def seen(alert: dict[str, Any]) -> bool:
        return alert["sessionId"] == "s-seen"

    alice = await world.device(acks=seen)
    await world.device("?clientId=bot-1&inbox=own", acks=lambda _: True)
    await world.loses("s-seen")
    await world.loses("s-missed")

    first, second = (await alice.until("s-missed", 2))[:2]
    assert (first.get("repeat"), second["repeat"]) == (None, 1)
    assert first["episodeId"] == second["episodeId"]
    assert second["ack"] is True
    assert second["alertLevel"] == "emergency"

    await world.until_applied(1)
    await world.loses("s-fence")  # one user's alerts are published in order: what comes after
    await alice.until("s-fence", 1)  # this was raised after the acknowledgement
    seen_so_far, missed_so_far = len(alice.of("s-seen")), len(alice.of("s-missed"))
    # Raised first, it would be a repeat ahead at most; a program's acknowledgements end nothing.
    await alice.until("s-missed", missed_so_far + 2)
    assert len(alice.of("s-seen")) == seen_so_far
