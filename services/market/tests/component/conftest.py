"""A running market service on a real broker, and a test's eyes on its bundles."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tapewire.auth import AuthSettings, mint
from tapewire.broker import (
    Caller,
    Consumer,
    Delivery,
    Link,
    Publisher,
    Role,
    Settlement,
    declare,
    topology,
)
from tapewire.fleet.cable import Cable
from tapewire.market.app import build
from tapewire.market.settings import MarketSettings
from tapewire.service import running

SECRET = "a secret of a test, 32 bytes or more"
DEADLINE_S = 60.0  # many tests may share two cores


@dataclass
class Tape:
    """The bundles of a vhost, and a publisher there."""

    publisher: Publisher
    caller: Caller
    bundles: list[tuple[str, tuple[str, ...], list[dict[str, Any]]]] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def hear(self, delivery: Delivery) -> Settlement:
        lines = [json.loads(line) for line in delivery.body.split(b"\n")]
        symbols = tuple(delivery.headers["symbols"].split(","))
        async with self.changed:
            self.bundles.append((delivery.routing_key, symbols, lines))
            self.changed.notify_all()
        return Settlement.ACK

    async def until(self, done: Callable[[], bool]) -> None:
        async with self.changed, asyncio.timeout(DEADLINE_S):
            await self.changed.wait_for(done)

    def messages(self, symbol: str | None = None) -> list[dict[str, Any]]:
        lines = [line for _, _, lines in self.bundles for line in lines]
        return [line for line in lines if symbol in (None, line["symbol"])]


@pytest.fixture
async def tape(broker_url: str) -> AsyncIterator[Tape]:
    publishing = Link(broker_url, Role.PUBLISH, name="test")
    consuming = Link(broker_url, Role.CONSUME, name="test")
    await publishing.start()
    await consuming.start()
    tape = Tape(Publisher(publishing), Caller(publishing))
    queue = topology.Queue(
        "test.bundles",
        {"x-queue-type": "classic"},
        (topology.Binding(topology.MARKET, "bundle.#"),),
    )
    await declare(consuming, (*topology.FLEET, queue), timeout_s=30)
    eyes = Consumer(consuming, queue, tape.hear, prefetch=100)
    await eyes.start()
    yield tape
    await eyes.stop()
    await publishing.close()
    await consuming.close()


@pytest.fixture
async def cable(broker_url: str) -> AsyncIterator[Cable]:
    """The service's connection to the broker, to be cut."""
    cable = Cable(broker_url)
    yield cable
    await cable.stop()


@pytest.fixture
def market(cable: Cable, tape: Tape) -> Callable[..., Any]:
    """``async with market(market_feeds=("simulated",)) as http:`` runs the service."""

    @asynccontextmanager
    async def run(**more: Any) -> AsyncIterator[httpx.AsyncClient]:
        settings = MarketSettings(amqp_url=await cable.start(), **more)
        token = mint(SECRET, "alice", scopes=("md:read",))
        async with (
            running(build(settings, AuthSettings(jwt_secret=SECRET)), settings) as url,
            httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}) as http,
        ):
            yield http

    return run
