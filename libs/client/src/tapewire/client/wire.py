"""One connection to an edge: opened, welcomed, read, watched, closed."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from importlib.metadata import version
from itertools import count
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from pydantic import ValidationError
from pydantic_core import to_json
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from tapewire.client.errors import RequestLost, RequestRefused
from tapewire.client.http_socket import HttpSocket
from tapewire.client.ladder import Way
from tapewire.client.locations import is_loopback
from tapewire.client.message import read_object
from tapewire.contracts.frames import SUBPROTOCOL, Draining, Welcome

log = logging.getLogger(__name__)

REPLIES: Final = frozenset({"subscribed", "unsubscribed", "refreshed", "accepted", "error"})
USER_AGENT: Final = f"tapewire-python/{version('tapewire')}"
CLOSE_TIMEOUT_S = 3.0  # for the server's closing handshake; then the socket is cut


class NotAnEdge(Exception):
    """The other side opened a WebSocket but did not welcome this client as an edge does."""


class Socket(Protocol):
    """What carries the messages, whatever it is; raises ``websockets.ConnectionClosed``."""

    heard_at: float

    async def recv(self) -> str | bytes:
        """Return the next message."""
        ...

    async def send(self, text: str, /) -> None:
        """Send a message."""
        ...

    async def close(self, code: int = 1000) -> None:
        """End it in good order."""
        ...

    def abort(self) -> None:
        """End it at once."""
        ...


class _Socket(ClientConnection):
    """A connection that knows when it was last heard, pings included."""

    heard_at: float = 0.0

    def abort(self) -> None:
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        super().data_received(data)


class Wire:
    """An open, welcomed connection.

    Attributes:
        welcome: the server's first message.
        way: how it travels.
        drain_window_s: over which to spread the next try, once the server said that it drains.
        silent: whether ``watch`` ended it.
    """

    def __init__(self, socket: Socket, welcome: Welcome, way: Way = "websocket") -> None:
        self.welcome = welcome
        self.way: Way = way
        self.drain_window_s: float | None = None
        self.silent = False
        self._socket = socket
        self._reading_paused = False
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._ids = count(1)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        way: Way = "websocket",
        token: str,
        query: Mapping[str, str],
        timeout_s: float,
        options: Mapping[str, Any],
    ) -> "Wire":
        """Connect, authenticate by header and wait for the welcome.

        Args:
            url: of the socket, as ``socket_url`` returns it.
            way: WebSocket, or what stands in for it.
            token: a JWT.
            query: the protocol's opening fields.
            timeout_s: for all of it.
            options: further arguments of ``websockets.connect`` (``ssl``, ``proxy``, …).

        Raises:
            OSError, TimeoutError, websockets.InvalidHandshake, websockets.ConnectionClosed,
            NotAnEdge: it did not come to a welcome.
        """
        target = f"{url}?{urlencode(query)}" if query else url
        async with asyncio.timeout(timeout_s):
            if way == "websocket":
                headers = {"Authorization": f"Bearer {token}"}
                socket: Socket = await _connected(target, options, headers)
            else:
                socket = HttpSocket.open(
                    url, way, token=token, query=query, agent=USER_AGENT, options=options
                )
            try:
                return cls(socket, await _welcome(socket), way)
            except BaseException:
                socket.abort()
                raise

    async def messages(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield events as raw objects; replies and signs of life are dealt with here.

        Raises:
            websockets.ConnectionClosed: at the end, whoever ended it.
        """
        try:
            while True:
                raw = read_object(await self._socket.recv())
                if raw is None:
                    log.warning("a frame that is no message was skipped")
                elif raw["type"] in REPLIES:
                    self._reply(raw)
                elif raw["type"] == "draining":
                    self._drain(raw)
                elif raw["type"] not in {"heartbeat", "welcome"}:
                    self._reading_paused = True
                    yield raw
                    self._reading_paused = False
        finally:
            self._reading_paused = False
            for waiting in self._replies.values():
                if not waiting.done():
                    waiting.set_exception(RequestLost("the connection ended before the answer"))

    async def watch(self, deadline_s: float) -> None:
        """Return once nothing was heard for ``deadline_s`` and the connection has been cut."""
        loop = asyncio.get_running_loop()
        self._socket.heard_at = loop.time()
        while True:
            if self._reading_paused:  # nothing can be heard while the handlers hold the reader
                self._socket.heard_at = loop.time()
            left_s = self._socket.heard_at + deadline_s - loop.time()
            if left_s <= 0:
                self.silent = True
                self.cut()
                return
            await asyncio.sleep(min(left_s, deadline_s / 4))

    async def send(self, frame: Mapping[str, object]) -> None:
        """Send one message.

        Raises:
            websockets.ConnectionClosed: it is over.
        """
        await self._socket.send(to_json(frame).decode())

    async def request(self, frame: Mapping[str, object], *, timeout_s: float) -> dict[str, Any]:
        """Send a message with an ``id`` of its own and return the reply to it.

        Raises:
            RequestRefused: the reply is an error.
            RequestLost: no reply in time, or the connection ended.
        """
        number = next(self._ids)
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[number] = reply
        try:
            await self.send({**frame, "id": number})
            async with asyncio.timeout(timeout_s):
                return await reply
        except ConnectionClosed as error:
            raise RequestLost("the connection ended before the answer") from error
        except TimeoutError:
            raise RequestLost(f"no answer within {timeout_s} s") from None
        finally:
            del self._replies[number]
            if not reply.cancel() and not reply.cancelled():
                reply.exception()  # looked at: nobody else will

    async def close(self) -> None:
        """Close with 1000; when it returns the socket is gone."""
        await self._socket.close(1000)

    def cut(self) -> None:
        """End the TCP connection at once."""
        self._socket.abort()

    def _reply(self, raw: dict[str, Any]) -> None:
        number = raw.get("id")
        reply = self._replies.get(number) if isinstance(number, int) else None
        if raw["type"] == "error":
            error = _refused(raw)
            if reply is None:
                log.warning("the server says: %s", error)
            elif not reply.done():
                reply.set_exception(error)
        elif reply is not None and not reply.done():
            reply.set_result(raw)

    def _drain(self, raw: dict[str, Any]) -> None:
        try:
            self.drain_window_s = Draining.model_validate(raw).window_ms / 1000
        except ValidationError:
            self.drain_window_s = 0.0


async def answers(url: str, *, timeout_s: float, options: Mapping[str, Any]) -> bool:
    """Whether a WebSocket passes: one without a token, whose heartbeat an edge answers."""
    try:
        async with asyncio.timeout(timeout_s):
            socket = await _connected(url, options, {})
            try:
                await socket.send('{"type":"heartbeat"}')
                await socket.recv()
            finally:
                socket.abort()
    except (OSError, TimeoutError, WebSocketException):
        return False
    return True


async def _connected(url: str, options: Mapping[str, Any], headers: Mapping[str, str]) -> _Socket:
    direct: dict[str, Any] = {"proxy": None} if is_loopback(url) else {}
    socket = await connect(
        url,
        additional_headers=headers,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        user_agent_header=USER_AGENT,
        create_connection=_Socket,
        open_timeout=None,
        close_timeout=CLOSE_TIMEOUT_S,
        ping_interval=None,  # the server's heartbeat is watched instead
        **(direct | dict(options)),
    )
    assert isinstance(socket, _Socket)
    return socket


async def _welcome(socket: Socket) -> Welcome:
    while True:
        raw = read_object(await socket.recv())
        if raw is not None and raw["type"] == "welcome":
            try:
                return Welcome.model_validate(raw)
            except ValidationError as error:
                raise NotAnEdge(f"unreadable welcome: {error}") from error


def _refused(raw: dict[str, Any]) -> RequestRefused:
    after_ms = raw.get("retryAfterMs")
    return RequestRefused(
        str(raw.get("code", "unknown")),
        str(raw.get("message", "")),
        retryable=raw.get("retryable") is True,
        retry_after_s=after_ms / 1000 if isinstance(after_ms, int | float) else None,
    )
