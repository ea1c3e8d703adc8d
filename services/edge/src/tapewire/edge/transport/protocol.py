"""The WebSocket protocol that lets the application write prebuilt frames.

The application is ASGI: handshake, inbound messages and closing. Outbound messages are frames built
once for many connections, so this class hands its transport to the application in the ASGI scope,
as ``scope["extensions"]["tapewire.socket"]``.

It stands in uvicorn's (0.54) place of a WebSocket protocol: its HTTP protocol upgrades to it
(``fallback.http_protocol``), its server calls ``shutdown`` and waits for its ``tasks``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import unquote

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from websockets.datastructures import Headers
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response

from tapewire.edge.transport.inward import Inward
from tapewire.edge.transport.outbound import HIGH_WATER, LOW_WATER
from tapewire.edge.transport.upgrade import Upgrade

log = logging.getLogger(__name__)

EXTENSION: Final = "tapewire.socket"
CLOSE_DEADLINE_S: Final = 5.0  # for the peer's close frame; then the transport is cut


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


class Socket(asyncio.Protocol):
    """One WebSocket, with its transport in the application's hands.

    Args:
        http: the HTTP connection whose request asks for it, and which it takes over.
    """

    __slots__ = (
        "_accepted",
        "_close_sent",
        "_close_timer",
        "_conn",
        "_connections",
        "_denial",
        "_fragments",
        "_head",
        "_inward",
        "_is_lost",
        "_loop",
        "_reading_paused",
        "_state",
        "_text",
        "_upgrade",
        "compressed",
        "keeps_window",
        "listener",
        "transport",
    )

    def __init__(self, http: HttpToolsProtocol) -> None:
        config = http.config
        self.transport = http.transport
        self.listener: Listener | None = None
        self._loop = http.loop
        self._state = http.server_state
        self._connections = http.connections
        upgrade = Upgrade(
            http.scope["method"],
            http.url,
            http.scope["http_version"],
            http.headers,
            max_size=config.ws_max_size,
            deflate=config.ws_per_message_deflate,
        )
        self._upgrade: Upgrade | None = upgrade
        self.compressed = upgrade.compressed
        self.keeps_window = upgrade.keeps_window
        self._conn = upgrade.conn
        self._inward = Inward()
        self._head = b""  # the answer to the handshake, while it waits for company
        self._denial: tuple[int, Headers, bytes] | None = None
        self._fragments: list[bytes] = []
        self._text = False
        self._accepted = self._close_sent = self._is_lost = self._reading_paused = False
        self._close_timer: asyncio.TimerHandle | None = None
        self._connections.add(self)  # type: ignore[arg-type]
        if upgrade.refusal is not None:
            self._respond(upgrade.refusal)
            return
        self._inward.put_nowait({"type": "websocket.connect"})
        task = self._loop.create_task(self._run(http.app, self._scope(http)))
        task.add_done_callback(self._state.tasks.discard)
        self._state.tasks.add(task)

    def _scope(self, http: HttpToolsProtocol) -> dict[str, Any]:
        raw_path, _, query = http.url.partition(b"?")
        offered = [value for name, value in http.headers if name == b"sec-websocket-protocol"]
        root: str = http.root_path
        return {
            "type": "websocket",
            "asgi": {"version": http.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if http.scheme == "https" else "ws",
            "server": http.server,
            "client": http.client,
            "root_path": root,
            "path": root + unquote(raw_path.decode("ascii")),
            "raw_path": root.encode("ascii") + raw_path,
            "query_string": query,
            "headers": http.headers,
            "subprotocols": [
                name.strip() for line in offered for name in line.decode("latin-1").split(",")
            ],
            "state": http.app_state.copy(),
            "extensions": {"websocket.http.response": {}, EXTENSION: self},
        }

    # For the application

    @property
    def writable_now(self) -> bool:
        """Whether a frame may still be written: open, and no close frame sent."""
        return not (self._close_sent or self._is_lost or self.transport.is_closing())

    def write(self, frames: bytes) -> None:
        """Write whole frames. Nothing happens once the socket is closing."""
        if not (self._close_sent or self._is_lost or self.transport.is_closing()):
            if self._head:
                frames, self._head = self._head + frames, b""
            self.transport.write(frames)

    @property
    def straight(self) -> Callable[[bytes], object]:
        """The transport's own ``write``: three looks into this object cost half of a write.

        Only behind a first ``write``, which the answer to the handshake may have waited for.
        """
        return self.transport.write

    def hang_up(self, code: int, reason: str) -> None:
        """Send a close frame behind what was written, and end the application's reading.

        The transport is cut when the peer has not answered by the deadline, even with its buffer
        full: ``transport.close()`` alone would wait for a stalled peer for ever.
        """
        if not self.writable_now:
            return
        self._inward.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self._conn.send_close(code, reason)
        self._write_frames()
        self._close_sent = True
        if self._reading_paused:
            self._reading_paused = False
            self.transport.resume_reading()
        self._close_timer = self._loop.call_later(CLOSE_DEADLINE_S, self.transport.abort)

    # ASGI

    async def _run(self, app: Callable[..., Any], scope: dict[str, Any]) -> None:
        try:
            await app(scope, self._receive, self._send)
        except ClientDisconnected:
            pass
        except BaseException:  # one connection's fault, or the server's end: uvicorn's bounds
            log.exception("a connection failed")
            self._fail()
        else:
            if not (self._accepted or self._close_sent):
                log.error("a handshake was not answered")
                self._fail()
        if self._close_timer is None:
            self.transport.close()

    async def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = await self._inward.get()
        if self._reading_paused and self._inward.empty():
            self._reading_paused = False
            self.transport.resume_reading()
        return message

    async def _send(self, message: dict[str, Any]) -> None:
        """Accept, or deny. What follows an ``accept`` is written by ``write`` and ``hang_up``."""
        if self._is_lost:
            raise ClientDisconnected
        match message["type"]:
            case "websocket.accept" if self._upgrade is not None:
                self._accept(self._upgrade, message.get("subprotocol"))
            case "websocket.close" if not self._accepted:
                self._respond(self._conn.reject(HTTPStatus.FORBIDDEN, ""))
            case "websocket.http.response.start" if not self._accepted:
                headers = Headers(
                    [(k.decode("latin-1"), v.decode("latin-1")) for k, v in message["headers"]]
                )
                self._denial = (message["status"], headers, b"")
            case "websocket.http.response.body" if self._denial is not None:
                status, headers, body = self._denial
                self._denial = (status, headers, body + message["body"])
                if not message.get("more_body", False):
                    self._deny(*self._denial)
            case other:
                raise RuntimeError(f"unexpected ASGI message {other!r}")

    def _accept(self, upgrade: Upgrade, subprotocol: str | None) -> None:
        if self.transport.is_closing():
            return
        self._head = upgrade.accept(self._state.default_headers, subprotocol)
        self._upgrade = None
        self._accepted = True
        self.transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)
        # It waits for a turn of the loop: when nothing has to be asked, `welcome` goes with it.
        self._loop.call_soon(self._loop.call_soon, self.release)

    def release(self) -> None:
        """Write the answer to the handshake, if nothing has taken it along."""
        self.write(b"")

    def _deny(self, status: int, given: Headers, body: bytes) -> None:
        response = self._conn.reject(status, "")
        for name in ("Content-Length", "Content-Type", *given):
            response.headers.pop(name, None)
        for name, value in (*given.raw_items(), ("Content-Length", str(len(body)))):
            if name.lower() != "content-length" or "content-length" not in response.headers:
                response.headers[name] = value
        response.body = body
        self._respond(response)

    def _fail(self) -> None:
        if not (self._accepted or self._close_sent):
            self._respond(self._conn.reject(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error\n"))

    def _respond(self, response: Response) -> None:
        """Answer the handshake with something else than a WebSocket."""
        self._inward.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self._close_sent = True
        self.transport.write(response.serialize())
        self.transport.close()

    # asyncio

    def data_received(self, data: bytes) -> None:
        """Any frame counts as a sign of life."""
        if not self._accepted:
            self.transport.close()  # RFC 6455 §4.1: a client waits for the answer
            return
        if self.listener is not None:
            self.listener.last_seen = self._loop.time()
        self._conn.receive_data(data)
        if self._conn.parser_exc is not None:
            self._break_off()
            return
        for frame in self._conn.events_received():
            assert isinstance(frame, Frame)
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                self._take_data(frame)
            case Opcode.PING:
                self._write_frames()  # the pong
            case Opcode.PONG:  # our pings carry sequence numbers; their pongs prove receipt
                if self.listener is not None:
                    self.listener.on_pong(bytes(frame.data))
            case Opcode.CLOSE:
                self._take_close()

    def _take_data(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._text = frame.opcode is Opcode.TEXT
            self._fragments = []
        self._fragments.append(bytes(frame.data))
        if not frame.fin:
            return
        data = self._fragments[0] if len(self._fragments) == 1 else b"".join(self._fragments)
        self._fragments = []
        if self._close_sent:
            return  # reading goes on until the peer's close frame
        if self._text:
            try:
                message = {"type": "websocket.receive", "text": data.decode()}
            except UnicodeDecodeError:
                self._conn.send_close(CloseCode.INVALID_DATA)
                self._break_off()
                return
        else:
            message = {"type": "websocket.receive", "bytes": data}
        self._inward.put_nowait(message)
        if not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()

    def _take_close(self) -> None:
        """The client closes: nothing may follow the close frame that answers."""
        if self.listener is not None:
            self.listener.on_pause()
        if self._close_sent:
            if self._close_timer is not None:
                self._close_timer.cancel()
                self._close_timer = None
                self.transport.close()
            return
        if not self.transport.is_closing():
            told = self._conn.close_rcvd
            assert told is not None
            self._inward.put_nowait(
                {"type": "websocket.disconnect", "code": told.code, "reason": told.reason}
            )
            self._write_frames()
            self.transport.close()

    def _break_off(self) -> None:
        """What came is no WebSocket's: say so, and close."""
        told = self._conn.close_sent
        code, reason = (1006, "") if told is None else (told.code, told.reason)
        self._inward.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self._write_frames()
        self._close_sent = True
        self.transport.close()

    def _write_frames(self) -> None:
        """Write what ``conn`` has to say."""
        head, self._head = self._head, b""
        self.transport.write(b"".join([head, *self._conn.data_to_send()]))

    def pause_writing(self) -> None:
        """The buffer is past its high-water mark."""
        if self.listener is not None:
            self.listener.on_pause()

    def resume_writing(self) -> None:
        """The buffer is below its low-water mark."""
        if self.listener is not None:
            self.listener.on_resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        code = 1005 if self._accepted else 1006
        self._inward.put_nowait({"type": "websocket.disconnect", "code": code})
        self._connections.discard(self)  # type: ignore[arg-type]
        self._is_lost = True
        if self._close_timer is not None:
            self._close_timer.cancel()
            self._close_timer = None
        if exc is None:
            self.transport.close()
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.on_lost()

    def shutdown(self) -> None:
        """The server ends; the gate has closed connections before."""
        if self._close_sent:
            if self._close_timer is not None:
                self._close_timer.cancel()
                self._close_timer = None
        elif self._accepted:
            self._inward.put_nowait({"type": "websocket.disconnect", "code": 1012})
            self._conn.send_close(CloseCode.SERVICE_RESTART)
            self._write_frames()
        else:
            self._fail()
        self.transport.close()
