"""From a request that asks for a WebSocket to the answer: checked by ``websockets``, read once.

uvicorn hands a protocol the request as bytes again, although its HTTP parser has read it; a second
parser, in Python, was a seventh of what opening a connection costs. Pure.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake
from websockets.extensions.base import Extension
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.http11 import Request, Response
from websockets.protocol import OPEN, Protocol
from websockets.server import ServerProtocol
from websockets.typing import ExtensionParameter

from tapewire.edge.transport.frames import WINDOW_BITS

NO_TAKEOVER: Final = "server_no_context_takeover"
EXTENSIONS: Final = "sec-websocket-extensions"

# The bounds of ``websockets.http11``; httptools has none.
MAX_HEADERS: Final = 128
MAX_HEADER_BYTES: Final = 8192

SWITCHING: Final = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
)

_quiet = logging.getLogger("tapewire.edge.connection.handshake")
_quiet.setLevel(logging.WARNING)  # a line per connection would be most of the log

HeaderLines = Sequence[tuple[bytes, bytes]]


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


class Upgrade:
    """One WebSocket's handshake.

    Args:
        method: of the request.
        target: the request's target, a path and a query.
        version: of HTTP, such as ``1.1``.
        headers: the request's, names in lower case.
        max_size: of a message of the client's, bytes.
        deflate: whether compression may be agreed.

    Attributes:
        conn: reads and writes the frames that follow.
        refusal: the response when this is no valid handshake, else None.
        compressed: whether frames of ``Message.deflated`` may be sent.
        keeps_window: whether one of them may refer to those written with it.
    """

    def __init__(
        self,
        method: str,
        target: bytes,
        version: str,
        headers: HeaderLines,
        *,
        max_size: int | None,
        deflate: bool,
    ) -> None:
        self.conn = conn = ServerProtocol(max_size=max_size, logger=_quiet)
        self.refusal: Response | None = None
        self.compressed = self.keeps_window = False
        self._head = ""
        given = Headers()
        try:
            if len(headers) > MAX_HEADERS or any(
                len(name) + len(value) > MAX_HEADER_BYTES for name, value in headers
            ):
                self.refusal = conn.reject(431, "too many headers, or too long\n")
                return
            for name, value in headers:
                given[name.decode("ascii")] = value.decode("latin-1")
            request = Request(target.decode("ascii"), given, method, f"HTTP/{version}")
        except (ValueError, InvalidHandshake):
            self.refusal = conn.reject(400, "not a valid request\n")
            return
        if "transfer-encoding" in given or not set(given.get_all("content-length")) <= {"0"}:
            self.refusal = conn.reject(400, "a handshake has no body\n")
            return
        self._check(request, deflate=deflate)

    def _check(self, request: Request, *, deflate: bool) -> None:
        conn = self.conn
        negotiation: Negotiation | None = None
        if deflate and EXTENSIONS in request.headers:
            negotiation = Negotiation()
            conn.available_extensions = [negotiation]
        try:
            accept, extensions, _ = conn.process_request(request)
        except InvalidHandshake:
            self.refusal = conn.accept(request)  # which has words for each reason
            return
        self._head = f"{SWITCHING}Sec-WebSocket-Accept: {accept}\r\n"
        if negotiation is not None and extensions is not None:
            self._head += f"Sec-WebSocket-Extensions: {extensions}\r\n"
            self.keeps_window = negotiation.keeps_window
            self.compressed = any(
                isinstance(extension, PerMessageDeflate)
                and extension.local_max_window_bits >= WINDOW_BITS
                for extension in conn.extensions
            )

    def accept(self, headers: Iterable[tuple[bytes, bytes]], subprotocol: str | None) -> bytes:
        """Return the answer that opens the WebSocket; ``conn`` reads frames from now on."""
        head = self._head.encode("latin-1")
        if subprotocol is not None:
            head += b"Sec-WebSocket-Protocol: %b\r\n" % subprotocol.encode("latin-1")
        head += b"".join([b"%b: %b\r\n" % line for line in headers])
        conn = self.conn
        conn.state = OPEN
        conn.parser = Protocol.parse(conn)  # in place of one that begins with the request
        next(conn.parser)
        return head + b"\r\n"
