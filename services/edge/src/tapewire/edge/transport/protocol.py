"""The uvicorn WebSocket protocol that lets the application write prebuilt frames.

FastAPI stays the application: handshake, inbound messages and closing are ASGI. Outbound messages
are frames built once for many connections, so this class hands its transport to the application in
the ASGI scope, as ``scope["extensions"]["tapewire.socket"]``.

Taken from uvicorn 0.54 (``websockets_sansio_impl``): the subclass adds to ``data_received``,
``handle_connect``, ``handle_pong``, ``pause_writing``, ``resume_writing`` and ``connection_lost``,
and negotiates the compression of ``self.conn`` itself (``websockets`` 17).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.extensions.base import Extension
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.typing import ExtensionParameter

from tapewire.edge.transport.frames import WINDOW_BITS
from tapewire.edge.transport.outbound import HIGH_WATER, LOW_WATER

EXTENSION = "tapewire.socket"
NO_TAKEOVER = "server_no_context_takeover"
CLOSE_DEADLINE_S = 5.0  # for the peer's close frame; then the transport is cut, whatever it holds

_quiet = logging.getLogger("tapewire.edge.connection.handshake")
_quiet.setLevel(logging.WARNING)  # a line per connection would be most of the log


class Listener(Protocol):
    """What the application hears from its socket, outside ASGI."""

    last_seen: float

    def on_pong(self, payload: bytes) -> None:
        """The client answered a ping."""

    def on_pause(self) -> None:
        """The transport's buffer passed its high-water mark."""

    def on_resume(self) -> None:
        """The transport's buffer is below its low-water mark."""

    def on_lost(self) -> None:
        """The transport is gone."""


class Inward:
    """The part of ``asyncio.Queue`` that uvicorn uses: one reader. Without its 3 KB of deques."""

    __slots__ = ("_messages", "_reader")

    def __init__(self) -> None:
        self._messages: list[Any] = []
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, message: Any) -> None:
        """Add a message, and wake the reader."""
        self._messages.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> Any:
        """Return the oldest message, waiting for one."""
        while not self._messages:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._messages.pop(0)

    def empty(self) -> bool:
        """Return whether ``get`` would wait."""
        return not self._messages


class Writable:
    """The part of ``asyncio.Event`` that uvicorn uses, without its deque while nobody waits."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: asyncio.Event | None = None  # None: set

    def set(self) -> None:
        """Wake who waits."""
        event, self._event = self._event, None
        if event is not None:
            event.set()

    def clear(self) -> None:
        """Have those that come wait."""
        if self._event is None:
            self._event = asyncio.Event()

    async def wait(self) -> None:
        """Return once it is set."""
        if self._event is not None:
            await self._event.wait()


class Negotiation(ServerPerMessageDeflateFactory):
    """Agrees on permessage-deflate; the server keeps no window, whatever is agreed (ADR 16)."""

    def __init__(self) -> None:
        super().__init__(
            server_no_context_takeover=True,
            client_no_context_takeover=True,
            server_max_window_bits=WINDOW_BITS,
        )
        self.keeps_window = False  # the client: it did not ask us to stand each message alone

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """Answer an offer."""
        answer, extension = super().process_request_params(params, accepted_extensions)
        self.keeps_window = all(name != NO_TAKEOVER for name, _ in params)
        if self.keeps_window:
            answer = [(name, value) for name, value in answer if name != NO_TAKEOVER]
        return answer, extension


class Socket(WebSocketsSansIOProtocol):
    """One WebSocket, with its transport in the application's hands."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = _quiet
        self.queue = Inward()  # type: ignore[assignment]
        self.writable = Writable()  # type: ignore[assignment]
        self.close_timeout = CLOSE_DEADLINE_S
        self.listener: Listener | None = None
        self._negotiation = Negotiation()
        self.conn.available_extensions = (
            [self._negotiation] if config.ws_per_message_deflate else []
        )
        self.conn.logger = _quiet

    @property
    def compressed(self) -> bool:
        """Whether frames of ``Message.deflated`` may be sent here."""
        return any(
            isinstance(extension, PerMessageDeflate)
            and extension.local_max_window_bits >= WINDOW_BITS
            for extension in self.conn.extensions
        )

    @property
    def keeps_window(self) -> bool:
        """Whether a compressed message may refer to those written with it."""
        return self._negotiation.keeps_window

    @property
    def writable_now(self) -> bool:
        """Whether a frame may still be written: open, and no close frame sent."""
        return not (self.close_sent or self.disconnected or self.transport.is_closing())

    def write(self, frames: bytes) -> None:
        """Write whole frames. Nothing happens once the socket is closing."""
        if not (self.close_sent or self.disconnected or self.transport.is_closing()):
            self.transport.write(frames)

    @property
    def straight(self) -> Callable[[bytes], object]:
        """The transport's own ``write``: three looks into this object cost half of a write."""
        return self.transport.write

    def hang_up(self, code: int, reason: str) -> None:
        """Send a close frame behind what was written, and end the application's reading.

        The transport is cut when the peer has not answered by the deadline, even with its buffer
        full: ``transport.close()`` alone would wait for a stalled peer for ever.
        """
        if not self.writable_now:
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def forget_request(self) -> None:
        """Let go of the handshake: once it is accepted, nothing reads it again."""
        self.request = self.response = None  # type: ignore[assignment]
        self.scope = {}  # type: ignore[typeddict-item]

    def data_received(self, data: bytes) -> None:
        """Any frame counts as a sign of life."""
        if self.listener is not None:
            self.listener.last_seen = self.loop.time()
        super().data_received(data)

    def handle_connect(self, event: Request) -> None:
        """Put ourselves into the scope; the application's task starts in a later turn."""
        super().handle_connect(event)
        if not self.close_sent:
            self.scope["extensions"][EXTENSION] = self  # type: ignore[index]
            self.transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)

    def handle_close(self, event: Frame) -> None:
        """The client closes: nothing may follow the close frame that answers."""
        if self.listener is not None:
            self.listener.on_pause()
        super().handle_close(event)

    def handle_pong(self, event: Frame) -> None:
        """Our pings carry sequence numbers; their pongs prove receipt."""
        if self.listener is not None:
            self.listener.on_pong(bytes(event.data))

    def pause_writing(self) -> None:
        """The buffer is past its high-water mark."""
        super().pause_writing()
        if self.listener is not None:
            self.listener.on_pause()

    def resume_writing(self) -> None:
        """The buffer is below its low-water mark."""
        super().resume_writing()
        if self.listener is not None:
            self.listener.on_resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        super().connection_lost(exc)
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.on_lost()
