"""Centrifugo, when its binary is on the PATH or named by ``TAPEWIRE_BENCH_CENTRIFUGO``.

Memory engine, one Go processor, published over its HTTP API, its usage statistics switched off.
"""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from bench import payload
from bench.servers import NotHere, free_port, server
from bench.websocket import Script, text, upgrade

KEY: Final = "benchmark"
CHANNEL: Final = "bench"


class Centrifugo:
    """One server, and a kept connection to its HTTP API."""

    name = "Centrifugo, GOMAXPROCS=1"

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._lock = asyncio.Lock()

    async def connect(self) -> None:
        """Open the API connection."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)

    def scripts(self, count: int) -> Sequence[Script]:
        """Return connect and subscribe of its JSON protocol, anonymously."""
        asked = upgrade("127.0.0.1", "/connection/websocket")
        connect = text({"id": 1, "connect": {}})
        subscribe = text({"id": 2, "subscribe": {"channel": CHANNEL}})
        steps: Script = [
            (b"", asked),
            (b"\r\n\r\n", connect),
            (b'"id":1', subscribe),
            (b'"id":2', b""),
        ]
        return [steps] * count

    async def publish(self, messages: int) -> None:
        """One `publish`, or one `batch` of them."""
        each: list[dict[str, Any]] = [
            {"channel": CHANNEL, "data": json.loads(payload.status())} for _ in range(messages)
        ]
        if messages == 1:
            await self._post("/api/publish", each[0])
        else:
            await self._post("/api/batch", {"commands": [{"publish": one} for one in each]})

    async def _ask(self, request: bytes) -> bytes:
        assert self._reader is not None
        assert self._writer is not None
        self._writer.write(request)
        return await self._reader.readuntil(b"\r\n\r\n")

    async def _post(self, path: str, body: Any) -> None:
        assert self._reader is not None
        assert self._writer is not None
        data = json.dumps(body, separators=(",", ":")).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {KEY}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        async with self._lock:
            if self._reader.at_eof():  # it closes a connection that was idle for a minute
                await self.connect()
            try:
                answer = await self._ask(head.encode() + data)
            except (EOFError, OSError):  # it was closing it just then
                await self.connect()
                answer = await self._ask(head.encode() + data)
            size = next(
                int(line.split(b":")[1])
                for line in answer.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            told = await self._reader.readexactly(size)
        if b" 200 " not in answer[:20] or b'"error"' in told:
            raise RuntimeError(f"Centrifugo answered {told[:200]!r}")


@asynccontextmanager
async def start() -> AsyncGenerator[Centrifugo]:
    """Run it."""
    binary = os.environ.get("TAPEWIRE_BENCH_CENTRIFUGO") or shutil.which("centrifugo")
    if not binary or not Path(binary).exists():
        raise NotHere("no `centrifugo` on the PATH or in TAPEWIRE_BENCH_CENTRIFUGO")
    port = free_port()
    settings = {
        "http_server": {"address": "127.0.0.1", "port": str(port)},
        "http_api": {"key": KEY},
        "client": {
            "allow_anonymous_connect_without_token": True,
            "allowed_origins": ["*"],
            "ping_interval": "3600s",
        },
        "channel": {
            "without_namespace": {
                "allow_subscribe_for_anonymous": True,
                "allow_subscribe_for_client": True,
            }
        },
        "log": {"level": "warn"},
        "usage_stats": {"enabled": False},
    }
    with tempfile.TemporaryDirectory(prefix="tapewire-bench-") as directory:
        config = Path(directory) / "config.json"
        config.write_text(json.dumps(settings))
        argv = (binary, "--config", str(config))
        async with server(argv, port, env={"GOMAXPROCS": "1"}) as process:
            hub = Centrifugo(process.pid, port)
            await hub.connect()
            yield hub
