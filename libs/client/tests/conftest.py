"""A WebSocket server that a test scripts, frame by frame."""

import asyncio
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

DEADLINE_S = 10.0

WELCOME: dict[str, Any] = {
    "type": "welcome",
    "connectionId": "c-1",
    "userId": "alice",
    "heartbeatInterval": 30,
    "serverTime": "2026-01-05T14:30:00Z",
    "tokenExpiresIn": 540,
    "channels": ["user:alice"],
    "recovered": {"critical": 0, "recent": 0, "gap": False},
    "limits": {"messagesPerSecond": 20, "channels": 256, "messageBytes": 65536},
}


class Handshake:
    """A client that asks to come in, waiting for the script's answer."""

    def __init__(self, request: Request) -> None:
        self.answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.query = dict(parse_qsl(urlsplit(request.path).query))
        self.token = _token(request)


class ScriptedServer:
    """Accepts, sends, and notes what comes; decides nothing by itself."""

    def __init__(self) -> None:
        self.handshakes: asyncio.Queue[Handshake] = asyncio.Queue()
        self.frames: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.opened: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self.connection: ServerConnection | None = None
        self._server: Server | None = None

    async def start(self) -> None:
        self._server = await serve(
            self._read,
            "127.0.0.1",
            0,
            process_request=self._process,
            select_subprotocol=lambda _, offered: offered[0] if offered else None,
            ping_interval=None,
        )

    async def stop(self) -> None:
        assert self._server is not None
        while not self.handshakes.empty():
            self.handshakes.get_nowait().answer.cancel()
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        host, port = next(iter(self._server.sockets)).getsockname()[:2]
        return f"http://{host}:{port}"

    async def handshake(self, within_s: float = DEADLINE_S) -> Handshake:
        async with asyncio.timeout(within_s):
            return await self.handshakes.get()

    async def accept(self, within_s: float = DEADLINE_S) -> Handshake:
        handshake = await self.handshake(within_s)
        handshake.answer.set_result(0)
        async with asyncio.timeout(DEADLINE_S):
            self.connection = await self.opened.get()
        return handshake

    async def refuse(self, status: int) -> None:
        (await self.handshake()).answer.set_result(status)

    async def welcome(self, **fields: Any) -> None:
        await self.send({**WELCOME, **fields})

    async def send(self, frame: dict[str, Any] | str) -> None:
        assert self.connection is not None
        await self.connection.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def frame(self, within_s: float = DEADLINE_S) -> dict[str, Any]:
        """The next client frame that is no heartbeat."""
        async with asyncio.timeout(within_s):
            while True:
                frame = await self.frames.get()
                if frame["type"] != "heartbeat":
                    return frame

    async def close(self, code: int, reason: str = "") -> None:
        assert self.connection is not None
        await self.connection.close(code, reason)

    def drop(self) -> None:
        assert self.connection is not None
        self.connection.transport.abort()

    async def closed(self) -> int | None:
        """Wait until the client has closed; return its code."""
        assert self.connection is not None
        async with asyncio.timeout(DEADLINE_S):
            await self.connection.wait_closed()
        return self.connection.close_code

    async def _process(self, connection: ServerConnection, request: Request) -> Response | None:
        handshake = Handshake(request)
        self.handshakes.put_nowait(handshake)
        status = await handshake.answer
        return connection.respond(HTTPStatus(status), "no\n") if status else None

    async def _read(self, connection: ServerConnection) -> None:
        self.opened.put_nowait(connection)
        try:
            async for text in connection:
                self.frames.put_nowait(json.loads(text))
        except ConnectionClosed:
            return


def _token(request: Request) -> str | None:
    header = request.headers.get("Authorization", "")
    if header.startswith("Bearer "):
        return header.removeprefix("Bearer ")
    for offered in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        if offered.strip().startswith("bearer."):
            return offered.strip().removeprefix("bearer.")
    return None


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer()
    await scripted.start()
    yield scripted
    await scripted.stop()


@pytest.fixture
async def other_server() -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer()
    await scripted.start()
    yield scripted
    await scripted.stop()
