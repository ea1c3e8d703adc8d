"""The edge, fed through its broker as the fleet feeds it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import httpx

from bench import payload
from bench.machine import SERVER_CORE
from bench.servers import SECRET, START_S, broker, service, vhost
from bench.websocket import Script, text, upgrade
from tapewire.auth import mint
from tapewire.broker import Link, Publisher, Role, declare, topology
from tapewire.contracts import SYMBOLS_HEADER, bundle_key, bundle_shard, new_id
from tapewire.contracts.frames import SUBPROTOCOL

SESSIONS: Final = "sessions:bench"
KEY: Final = "bench.s-1.session.status"
PER_USER: Final = 20  # connections; the edge's default limit


def symbols(count: int, *, one_shard: bool) -> list[str]:
    """Return made-up symbols; of one shard they travel in one bundle."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        symbol = f"S{number}"
        if not one_shard or bundle_shard(symbol) == 0:
            found.append(symbol)
        number += 1
    return found


class Edge:
    """One edge process, and a publisher to its broker."""

    name = "Tapewire edge"

    def __init__(
        self, amqp: str, process: asyncio.subprocess.Process, port: int, channels: Sequence[str]
    ) -> None:
        self.amqp = amqp
        self.process = process
        self.pid = process.pid
        self.port = port
        self.channels = list(channels)
        self._link = Link(amqp, Role.PUBLISH, name="bench")
        self.publisher = Publisher(self._link)

    async def start(self) -> None:
        """Connect."""
        await self._link.start()

    async def close(self) -> None:
        """Disconnect."""
        await self.publisher.close()
        await self._link.close()

    def scripts(
        self, count: int, *, deflate: bool = False, per_user: int = PER_USER
    ) -> list[Script]:
        """Return how clients open: a token each, `welcome`, then the channels."""
        return [
            script(f"u-{number // per_user}", self.channels, deflate=deflate)
            for number in range(count)
        ]

    async def publish(self, messages: int) -> None:
        """One event, or one bundle of that many quotes."""
        if messages == 1:
            await self.status()
        else:
            await self.bundle(symbols(messages, one_shard=True))

    async def status(self) -> None:
        """Publish one event of a session."""
        await self.publisher.publish(
            topology.EVENTS,
            KEY,
            payload.status(),
            type="session_status",
            message_id=new_id(),
            persistent=False,
        )

    async def bundle(self, of: Sequence[str]) -> None:
        """Publish one bundle of symbols that share a shard."""
        await self.publisher.publish(
            topology.MARKET,
            bundle_key(bundle_shard(of[0])),
            b"\n".join(payload.quote(symbol) for symbol in of),
            type="bundle",
            message_id=new_id(),
            headers={SYMBOLS_HEADER: ",".join(of)},
            persistent=False,
        )


def script(user: str, channels: Sequence[str], *, deflate: bool = False, query: str = "") -> Script:
    """Return how one client of ``user`` opens."""
    token = mint(SECRET, user, supervises=["bench"], ttl_s=3600)
    asked = upgrade("bench", f"/ws{query}", token=token, subprotocol=SUBPROTOCOL, deflate=deflate)
    steps: Script = [(b"", asked), (b"\r\n\r\n", b""), (b'"welcome"', b"")]
    if channels:
        steps[-1] = (b'"welcome"', text({"type": "subscribe", "channels": list(channels)}))
        steps.append((b'"subscribed"', b""))
    return steps


@asynccontextmanager
async def edge(
    channels: Sequence[str],
    amqp: str | None = None,
    *,
    workers: int = 1,
    cores: Sequence[int] = (SERVER_CORE,),
    **env: str,
) -> AsyncGenerator[Edge]:
    """Run one edge; on a broker of its own unless one is given."""
    if amqp is None:
        with broker() as node:
            async with edge(channels, vhost(node), workers=workers, cores=cores, **env) as hub:
                yield hub
        return
    link = Link(amqp, Role.TOPOLOGY, name="bench")
    await link.start()
    await declare(link, topology.FLEET)
    await link.close()
    env = {"TAPEWIRE_INBOX_QUEUE_TYPE": "classic"} | env
    arguments = ("--workers", str(workers)) if workers > 1 else ()
    async with service("edge", amqp, *arguments, cores=cores, **env) as (process, port):
        if workers > 1:
            await _all_there(port, workers)
        hub = Edge(amqp, process, port, channels)
        await hub.start()
        try:
            yield hub
        finally:
            await hub.close()


async def _all_there(port: int, workers: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(START_S):
        while True:
            text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
            if f'tapewire_broker_up{{worker="{workers - 1}"' in text:
                return
            await asyncio.sleep(0.2)


@asynccontextmanager
async def broadcasting(amqp: str | None = None) -> AsyncGenerator[Edge]:
    """Run the edge as a peer among peers: every client hears events and twenty quotes."""
    channels = [SESSIONS, *(f"market:{symbol}" for symbol in symbols(20, one_shard=True))]
    async with edge(channels, amqp) as hub:
        yield hub
