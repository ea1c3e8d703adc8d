"""Compression: what permessage-deflate saves on quotes, and what it costs the edge."""

import asyncio
import random
import zlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from bench.crowd import Crowd
from bench.figures import Figure, at_least
from bench.machine import CpuClock
from bench.peers import tapewire
from bench.scenarios.scenario import Options, Scenario
from tapewire.broker import topology
from tapewire.contracts import SYMBOLS_HEADER, MarketData, bundle_key, encode, new_id
from tapewire.edge.transport.frames import WINDOW_BITS

ROUNDS: Final = 40
CONNECTIONS: Final = 200


def quote(symbol: str) -> bytes:
    """Return a quote as `market` makes it."""
    now = datetime.now(UTC)
    last = Decimal(str(round(random.uniform(50, 500), 2)))
    message = MarketData(
        **{"id": new_id(), "timestamp": now, "symbol": symbol, "last": last, "as_of": now},
        bid=last - Decimal("0.01"),
        ask=last + Decimal("0.01"),
        volume=random.randrange(10_000),
        change=round(random.uniform(-3, 3), 4),
    )
    return encode(message)


async def run(_: Options) -> list[Figure]:
    """Send the same quotes to clients with and without the extension, and compare bytes."""
    symbols = tapewire.symbols(20, one_shard=True)
    received: dict[bool, float] = {}
    cpu: dict[bool, float] = {}
    for deflate in (False, True):
        async with tapewire.edge([f"market:{s}" for s in symbols]) as hub, Crowd() as crowd:
            await crowd.open(hub.port, hub.scripts(CONNECTIONS, deflate=deflate))
            await asyncio.sleep(0.5)
            await crowd.reset()
            random.seed(7)
            clock = CpuClock(hub.pid)
            for _round in range(ROUNDS):
                await hub.publisher.publish(
                    topology.MARKET,
                    bundle_key(tapewire.bundle_shard(symbols[0])),
                    b"\n".join(quote(symbol) for symbol in symbols),
                    type="bundle",
                    message_id=new_id(),
                    headers={SYMBOLS_HEADER: ",".join(symbols)},
                    persistent=False,
                )
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            told = await crowd.tell()
            received[deflate] = told.bytes / (CONNECTIONS * ROUNDS * len(symbols))
            cpu[deflate] = clock.lap()[0]
    saved = 100 * (1 - received[True] / received[False])
    notes = {
        "bytes_plain": round(received[False]),
        "bytes_deflated": round(received[True]),
        "cpu_ratio": round(cpu[True] / cpu[False], 2),
        **_possible([quote(symbol) for symbol in symbols]),
    }
    return [Figure("compression, bytes saved on quotes", "%", (saved,), at_least(60), notes)]


def _possible(quotes: list[bytes]) -> dict[str, str]:
    """Return what deflate would save on a bundle's quotes, one by one, in a row, and as one."""

    def compressor() -> "zlib._Compress":
        return zlib.compressobj(6, zlib.DEFLATED, -WINDOW_BITS, 5)

    def size(deflate: "zlib._Compress", data: bytes) -> int:
        return len(deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)) - 4

    plain = sum(map(len, quotes))
    in_a_row = compressor()
    sizes = {
        "saved_one_by_one": sum(size(compressor(), one) for one in quotes),
        "saved_in_a_row": sum(size(in_a_row, one) for one in quotes),
        "saved_as_one_message": size(compressor(), b"\n".join(quotes)),
    }
    return {name: f"{100 * (1 - many / plain):.0f} %" for name, many in sizes.items()}


COMPRESSION: Final = Scenario("compression", "full", run)
