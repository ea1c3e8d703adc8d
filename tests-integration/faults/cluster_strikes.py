"""How a cluster is struck: nodes killed, cut off, and taken from under the trays of devices."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any

from engines.fleet import EDGES
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from faults.cluster import NODES, ClusterFleet
from faults.devices import open_socket

WELCOMED_WITHIN_S = 60.0  # edges that lost their own connections to the node come back first


async def strike_node(world, rng: Random, _: Any) -> None:
    """Kill any node."""
    await world.fleet.kill_broker(rng.randrange(NODES), down_s=rng.uniform(1, 8))


async def strike_leader(world, rng: Random, _: Any) -> None:
    """Kill the node that leads the ingest's queue."""
    index = await world.fleet.leader_of("ingest.inbox")
    await world.fleet.kill_broker(index, down_s=rng.uniform(1, 8))


@asynccontextmanager
async def visit(url: str, token: str, device: str) -> AsyncIterator[tuple[ClientConnection, dict]]:
    """Connect as a device, as often as it takes; yield the socket and its welcome."""
    async with asyncio.timeout(WELCOMED_WITHIN_S):
        while True:
            with suppress(OSError, TimeoutError, WebSocketException):
                socket = await open_socket(f"{url}?clientId={device}&resume=true", token)
                welcome = json.loads(await socket.recv())
                break
            await asyncio.sleep(0.2)
    try:
        yield socket, welcome
    finally:
        socket.transport.abort()


async def until_told(socket: ClientConnection, wanted: str) -> None:
    """Read until a message has an id."""
    async with asyncio.timeout(WELCOMED_WITHIN_S):
        while json.loads(await socket.recv()).get("id") != wanted:
            pass


async def strike_trays(world, rng: Random, _: Any) -> None:
    """Kill a node while devices that have their trays on it are away; they come while it is down.

    A classic queue is on the node that its declarer was connected to, so edges' trays are here and
    there. Whoever comes must be welcomed, with the alert that waited; once the node is back, what
    waited in the tray must come too, on the same connection.
    """
    fleet: ClusterFleet = world.fleet
    user = f"away{rng.randrange(1_000_000)}"
    urls = [fleet.socket_url(edge) for edge in EDGES]
    devices = {f"{user}-d{n}": url for n, url in enumerate(urls * 2)}
    for device, url in devices.items():  # seen once, on each edge: their trays are there
        async with visit(url, fleet.token(user), device):
            pass
    homes = await fleet.homes_of([f"recent.{user}.{device}" for device in devices])
    index = rng.choice(sorted(set(homes.values())))
    warning = await world.publishers[0].send(f"{user}-warning", user, level="warning")
    alert = await world.publishers[0].send(f"{user}-alert", user)
    async with fleet.broker_down(index):
        for device, url in devices.items():
            async with visit(url, fleet.token(user), device) as (socket, welcome):
                away = homes[f"recent.{user}.{device}"] == index
                assert welcome["recovered"]["gap"] == away, (device, away, welcome)
                await until_told(socket, alert)
        stays = next(d for d in devices if homes[f"recent.{user}.{d}"] == index)
        visiting = visit(devices[stays], fleet.token(user), stays)
        socket, _ = await visiting.__aenter__()
    try:
        await until_told(socket, warning)
    finally:
        await visiting.__aexit__(None, None, None)


async def strike_apart(world, rng: Random, _: Any) -> None:
    """Cut any node off, for longer than it takes to be noticed."""
    await world.fleet.cut_off(rng.randrange(NODES), seconds=rng.uniform(3, 25))
