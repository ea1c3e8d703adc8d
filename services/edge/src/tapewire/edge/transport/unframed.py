"""What server frames of RFC 6455 carry, for transports that are no WebSocket.

A connection writes frames, whatever carries them (``wire.Wire``). Those built by ``frames``
without compression are taken apart here again: far cheaper than a second encoding on every path
that leads to a WebSocket, and no path has to know of it.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from tapewire.edge.transport.frames import PING, TEXT


class Text(NamedTuple):
    """One message of the protocol, JSON in UTF-8, without line breaks."""

    body: bytes


class Ping(NamedTuple):
    """Asks for proof that everything before it was received."""

    payload: bytes


def unframed(frames: bytes) -> Iterator[Text | Ping]:
    """Yield what ``frames`` carries, in order.

    Raises:
        ValueError: not whole, plain frames of a server.
    """
    at, end = 0, len(frames)
    while at < end:
        try:
            opcode, length = frames[at] & 0x7F, frames[at + 1]
            at += 2
            if length == 126:
                (length,) = struct.unpack_from("!H", frames, at)
                at += 2
            elif length == 127:
                (length,) = struct.unpack_from("!Q", frames, at)
                at += 8
        except (IndexError, struct.error):
            raise ValueError("a frame is cut off") from None
        payload = frames[at : at + length]
        if len(payload) < length:
            raise ValueError("a frame is cut off")
        at += length
        if opcode == TEXT:
            yield Text(_on_one_line(payload))
        elif opcode == PING:
            yield Ping(payload)
        else:
            raise ValueError(f"opcode {opcode:#x}: compressed, or not of a server's messages")


def _on_one_line(body: bytes) -> bytes:
    # In JSON a raw line break is white space (RFC 8259, 2); strings have it escaped.
    if b"\n" in body or b"\r" in body:
        return body.replace(b"\r", b" ").replace(b"\n", b" ")
    return body
