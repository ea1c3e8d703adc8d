"""Bytes that WebSocket clients send (RFC 6455), and scripts by which a swarm opens connections.

A script is a list of steps ``(expect, send)``: once ``expect`` is in what the server sent,
``send`` is written. The first step expects nothing. Client frames carry the mask 0, which leaves
their payload readable and costs the generator nothing.
"""

import base64
import json
import struct
from typing import Any, Final, TypeAlias

Step: TypeAlias = tuple[bytes, bytes]
Script: TypeAlias = list[Step]

KEY: Final = base64.b64encode(b"a benchmark only").decode()
PONG: Final = b"\x8a\x80\x00\x00\x00\x00"  # unsolicited: a sign of life (RFC 6455 §5.5.3)


def upgrade(
    host: str,
    path: str,
    *,
    token: str | None = None,
    subprotocol: str | None = None,
    deflate: bool = False,
) -> bytes:
    """Return the request that asks for a WebSocket."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
    ]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if subprotocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    if deflate:
        lines.append("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def client_frame(payload: bytes, opcode: int = 0x1) -> bytes:
    """Return one final client frame with mask 0."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    else:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    return head + b"\x00\x00\x00\x00" + payload


def text(value: Any) -> bytes:
    """Return the client frame of a JSON message."""
    return client_frame(json.dumps(value, separators=(",", ":")).encode())
