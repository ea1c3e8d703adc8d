"""The control port of peers that we write ourselves: each line is a message for everyone."""

import asyncio
from collections.abc import Sequence

from bench import payload
from bench.websocket import Script, upgrade


class LineFed:
    """A peer whose script listens on a second port for messages."""

    def __init__(self, name: str, pid: int, port: int, path: str = "/") -> None:
        self.name = name
        self.pid = pid
        self.port = port
        self._path = path
        self._writer: asyncio.StreamWriter | None = None

    async def connect(self, control: int) -> None:
        """Open the control connection."""
        _, self._writer = await asyncio.open_connection("127.0.0.1", control)

    def scripts(self, count: int) -> Sequence[Script]:
        """Open a WebSocket; the peer greets each with ``ready``."""
        asked = upgrade("127.0.0.1", self._path)
        return [[(b"", asked), (b"ready", b"")]] * count

    async def publish(self, messages: int) -> None:
        """Hand messages over."""
        assert self._writer is not None
        self._writer.write(b"".join(payload.status() + b"\n" for _ in range(messages)))
        await self._writer.drain()
