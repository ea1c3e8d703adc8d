"""What many hear is framed and compressed once, and what a bundle has in it is not looked at."""

import asyncio
from collections import Counter

import pytest

from tapewire.broker import topology
from tapewire.contracts import SYMBOLS_HEADER, bundle_key, bundle_shard, new_id
from tapewire.edge.transport import frames

EACH = 3  # clients of a kind
NOTICE = "again and again " * 40  # long enough to be compressed


@pytest.fixture
def made(monkeypatch) -> Counter[str]:
    """How often the notice was framed, and compressed."""
    counted: Counter[str] = Counter()
    frame, deflate = frames.frame, frames.deflate

    def counting_frame(opcode, payload, **more):
        counted["framed"] += NOTICE.encode() in payload
        counted["framed compressed"] += bool(more)
        return frame(opcode, payload, **more)

    def counting_deflate(payload):
        counted["compressed"] += NOTICE.encode() in payload
        return deflate(payload)

    monkeypatch.setattr(frames, "frame", counting_frame)
    monkeypatch.setattr(frames, "deflate", counting_deflate)
    return counted


async def test_a_message_is_framed_once_for_all_and_compressed_once_for_all(world, made):
    edge = await world.edge()
    kinds = [None, "deflate"] * EACH
    clients = [await world.client(edge, compression=kind) for kind in kinds]
    await world.publish(
        type="system_notification", userId="alice", level="info", title="all", message=NOTICE
    )
    told = [(await client.next("system_notification"))["message"] for client in clients]
    assert told == [NOTICE] * len(clients)
    assert made == {"framed": 1, "compressed": 1, "framed compressed": 1}


async def test_a_line_of_a_bundle_is_passed_on_as_it_is(world):
    edge = await world.edge()
    client = await world.client(edge)
    await client.send(type="subscribe", channels=["market:SPY"])
    await client.next("subscribed")
    line = b'{"type":"market_data",  "symbol":"SPY", what no parser would take'
    await world.publisher.publish(
        topology.MARKET,
        bundle_key(bundle_shard("SPY")),
        line,
        type="bundle",
        message_id=new_id(),
        headers={SYMBOLS_HEADER: "SPY"},
    )
    async with asyncio.timeout(15):
        while (text := await client.socket.recv()) != line.decode():
            assert '"market_data"' not in text
