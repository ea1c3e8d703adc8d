"""Quotes of a bundle refer to each other, for whoever keeps a window: no client reads them wrong.

Chromium reads them in the fleet's browser tests.
"""

import asyncio
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from tapewire.broker import topology
from tapewire.contracts import SYMBOLS_HEADER, bundle_key, bundle_shard, new_id

SYMBOLS = [s for s in (f"S{n}" for n in range(500)) if bundle_shard(s) == 0][:12]
ROUNDS = 5
NODE = """
const WebSocket = require("ws");
const [url, token, channels] = process.argv.slice(2);
const socket = new WebSocket(url, { headers: { Authorization: `Bearer ${token}` } });
socket.on("message", (data) => {
  const text = data.toString();
  if (text.includes('"welcome"'))
    socket.send(JSON.stringify({ type: "subscribe", channels: JSON.parse(channels) }));
  process.stdout.write(text + "\\n");
});
socket.on("upgrade", (answer) => {
  process.stdout.write(`{"extensions":"${answer.headers["sec-websocket-extensions"]}"}\\n`);
});
socket.on("error", (error) => { process.stderr.write(String(error)); process.exit(1); });
"""


def quotes(turn: int) -> list[bytes]:
    return [
        b'{"type":"market_data","id":"%s","symbol":"%s","last":%d.5,"bid":%d.4,"ask":%d.6}'
        % (new_id().encode(), symbol.encode(), *([100 * turn + n] * 3))
        for n, symbol in enumerate(SYMBOLS)
    ]


async def tell(world) -> list[dict[str, object]]:
    """Publish bundles, with a message in between that is compressed alone; return the quotes."""
    told: list[bytes] = []
    for turn in range(ROUNDS):
        lines = quotes(turn)
        told += lines
        await world.publisher.publish(
            topology.MARKET,
            bundle_key(0),
            b"\n".join(lines),
            type="bundle",
            message_id=new_id(),
            headers={SYMBOLS_HEADER: ",".join(SYMBOLS)},
        )
        await world.publish(
            type="system_notification",
            userId="alice",
            level="warning",
            title="in between",
            message="again and again " * 40,
        )
    return [json.loads(line) for line in told]


CLIENTS = {
    "plain": ({"compression": None}, None),
    "keeps its window": ({"compression": "deflate"}, False),
    "wants each message alone": (
        {
            "compression": None,
            "extensions": [ClientPerMessageDeflateFactory(server_no_context_takeover=True)],
        },
        True,
    ),
}


@pytest.mark.parametrize("name", CLIENTS)
async def test_quotes_are_read_by_every_kind_of_client(world, name):
    edge = await world.edge()
    options, alone = CLIENTS[name]
    client = await world.client(edge, **options)
    answer = client.socket.response.headers.get("Sec-WebSocket-Extensions")
    assert alone == (None if answer is None else "server_no_context_takeover" in answer)
    await client.send(type="subscribe", channels=[f"market:{s}" for s in SYMBOLS])
    await client.next("subscribed")
    told = await tell(world)
    assert [await client.next("market_data") for _ in told] == told


async def test_quotes_are_read_by_node(world):
    edge = await world.edge()
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here")
    modules = Path(__file__).parents[4] / "node_modules"
    channels = json.dumps([f"market:{s}" for s in SYMBOLS])
    process = await asyncio.create_subprocess_exec(
        *(node, "-", edge.ws, world.token("alice"), channels),
        env=os.environ | {"NODE_PATH": str(modules)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(NODE.encode())
    process.stdin.close()
    seen: list[dict[str, object]] = []
    told: list[dict[str, object]] = []
    try:
        async with asyncio.timeout(60):
            while not told or len([m for m in seen if m.get("type") == "market_data"]) < len(told):
                line = await process.stdout.readline()
                assert line, "node ended"
                seen.append(json.loads(line))
                if seen[-1].get("type") == "subscribed":
                    told = await tell(world)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    assert "permessage-deflate" in str(seen[0]["extensions"])
    assert "server_no_context_takeover" not in str(seen[0]["extensions"])
    assert [m for m in seen if m.get("type") == "market_data"] == told
