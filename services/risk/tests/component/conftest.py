"""A running risk service on a real broker, and a test's eyes and hands on that broker."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tapewire.auth import AuthSettings, mint
from tapewire.broker import (
    Consumer,
    Delivery,
    Link,
    Publisher,
    Role,
    Settlement,
    declare,
    topology,
)
from tapewire.contracts import Event, SessionMetrics, SessionStarted, SessionStatus, new_id
from tapewire.fleet.cable import Cable
from tapewire.risk.app import build
from tapewire.risk.settings import RiskSettings
from tapewire.service import running

SECRET = "a secret of a test, 32 bytes or more"
AUTH = AuthSettings(jwt_secret=SECRET)
T0 = datetime(2025, 3, 3, 14, 30, tzinfo=UTC)
DEADLINE_S = 60.0  # many tests may share two cores


@dataclass
class Bus:
    """What the test sees on the broker, and what it says there."""

    publisher: Publisher
    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # (routing key, body)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def say(self, *events: Event) -> None:
        for event in events:
            await self.publisher.publish_event(event)

    async def hear(self, delivery: Delivery) -> Settlement:
        async with self.changed:
            self.seen.append((delivery.routing_key, json.loads(delivery.body)))
            self.changed.notify_all()
        return Settlement.ACK

    async def until(self, done: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
        async with self.changed, asyncio.timeout(deadline_s):
            await self.changed.wait_for(done)

    def keys(self) -> list[str]:
        return [key for key, _ in self.seen]

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        return [body for key, body in self.seen if kind in key]


@pytest.fixture
async def bus(broker_url: str) -> AsyncIterator[Bus]:
    publishing = Link(broker_url, Role.PUBLISH, name="test")
    consuming = Link(broker_url, Role.CONSUME, name="test")
    await publishing.start()
    await consuming.start()
    bus = Bus(Publisher(publishing, deadline_s=60))
    queue = topology.Queue(
        "test.everything",
        {"x-queue-type": "classic"},
        (
            topology.Binding(topology.ALERTS, "#"),
            topology.Binding(topology.EVENTS, "*.*.command.emergency_stop"),
        ),
    )
    shards = [topology.risk_shard(n) for n in range(2)]
    await declare(consuming, (*topology.FLEET, *shards, queue), timeout_s=30)
    eyes = Consumer(consuming, queue, bus.hear, prefetch=100)
    await eyes.start()
    yield bus
    await eyes.stop()
    await publishing.close()
    await consuming.close()


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh database: SQLite, unless parametrized with ``postgresql``."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path}/risk.sqlite3"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
async def cable(broker_url: str) -> AsyncIterator[Cable]:
    """The service's connection to the broker, to be cut."""
    cable = Cable(broker_url)
    yield cable
    await cable.stop()


@pytest.fixture
def risk(cable: Cable, database: str, bus: Bus) -> Callable[..., Any]:
    """``async with risk(risk_stop_mode="off") as http:`` runs the service."""

    @asynccontextmanager
    async def run(**more: Any) -> AsyncIterator[httpx.AsyncClient]:
        given = {"risk_shards": 2, "risk_tick_s": 0.05, "risk_stop_mode": "halt"} | more
        settings = RiskSettings(
            **{"amqp_url": await cable.start(), "database_url": database} | given
        )
        async with (
            running(build(settings, AUTH), settings) as url,
            httpx.AsyncClient(base_url=url, timeout=60) as client,
        ):
            yield client

    return run


@pytest.fixture
def secret() -> str:
    return SECRET


@pytest.fixture
def token() -> Callable[..., dict[str, str]]:
    """Return the header of a token: ``token("alice", "risk:stop")``."""

    def make(user: str, *scopes: str, **more: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {mint(SECRET, user, scopes=scopes, **more)}"}

    return make


@dataclass
class Trader:
    """Makes one session's events, a second apart."""

    user: str = field(default_factory=lambda: f"u-{secrets.token_hex(3)}")
    session: str = field(default_factory=lambda: f"s.{secrets.token_hex(3)}")  # wants escaping
    at: datetime = T0

    def stamp(self) -> dict[str, Any]:
        self.at += timedelta(seconds=1)
        owner = {"user_id": self.user, "session_id": self.session}
        return {"id": new_id(), "timestamp": self.at} | owner

    def starts(self, **limits: Any) -> SessionStarted:
        return SessionStarted(**self.stamp(), **limits)

    def loses(self, loss: float, **more: Any) -> SessionStatus:
        data = SessionMetrics(current_pnl=-Decimal(str(loss)))
        return SessionStatus(**self.stamp(), data=data, **more)

    def reports(self, utilization: float) -> SessionStatus:
        data = SessionMetrics(current_pnl=Decimal(-1), loss_limit_utilization=utilization)
        return SessionStatus(**self.stamp(), data=data)


@pytest.fixture
def trader() -> Trader:
    return Trader()
