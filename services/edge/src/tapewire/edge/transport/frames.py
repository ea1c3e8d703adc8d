"""Server frames of RFC 6455, built once per message and written to many connections.

A server's frames are not masked (§5.1), so one message is the same bytes for every connection with
the same compression. Compression is permessage-deflate (RFC 7692), in two ways that are the same
bytes for everyone who negotiated them, and keep nothing of a connection (ADR 16):

* *alone*: each message for itself, for clients that want no context takeover;
* *in a row*: messages that are written together refer back to those before them in that write,
  and no further. A client that keeps its window, as it does unless it says otherwise, reads both.
"""

import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Final

TEXT: Final = 0x1
PING: Final = 0x9
_FIN: Final = 0x80
_RSV1: Final = 0x40  # RFC 7692 §6: the message is compressed

DEFLATE_MIN_BYTES: Final = 256  # of a write; below it deflate saves less than a packet's header
# 4 KB of window: what uvicorn and most servers use; every client with a window at least this
# large can inflate our frames, whatever it negotiated above it.
WINDOW_BITS: Final = 12
_EMPTY_BLOCK: Final = b"\x00\x00\xff\xff"  # RFC 7692 §7.2.1: cut off by the sender


def frame(opcode: int, payload: bytes, *, compressed: bool = False) -> bytes:
    """Return one unmasked, final frame (RFC 6455 §5.2)."""
    head = _FIN | opcode | (_RSV1 if compressed else 0)
    length = len(payload)
    if length < 126:
        return bytes((head, length)) + payload
    if length < 65536:
        return struct.pack("!BBH", head, 126, length) + payload
    return struct.pack("!BBQ", head, 127, length) + payload


def ping(payload: bytes) -> bytes:
    """Return a ping; ``payload`` is at most 125 bytes (RFC 6455 §5.5)."""
    return frame(PING, payload)


def deflate(payload: bytes) -> bytes:
    """Return ``payload`` compressed as one message of permessage-deflate."""
    return deflate_in_a_row((payload,))[0]


def deflate_in_a_row(payloads: Iterable[bytes]) -> list[bytes]:
    """Return each of ``payloads`` compressed, with those before it as its window."""
    # A fresh compressor refers to nothing that was sent before.
    compressor = zlib.compressobj(6, zlib.DEFLATED, -WINDOW_BITS, 5)
    return [
        (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(
            _EMPTY_BLOCK
        )
        for payload in payloads
    ]


class Joined:
    """Several messages as one write, joined at most once for each kind of connection."""

    __slots__ = ("_alone", "_in_a_row", "_messages", "plain")

    def __init__(self, messages: "Sequence[Message]") -> None:
        self._messages = messages
        self._alone: bytes | None = None
        self._in_a_row: bytes | None = None
        self.plain = b"".join([message.plain for message in messages])

    def deflated(self, *, in_a_row: bool) -> bytes:
        """Return the frames for connections with compression.

        Those ``in_a_row`` are one write, with no other compressed message inside.
        """
        if in_a_row and len(self._messages) > 1 and len(self.plain) >= DEFLATE_MIN_BYTES:
            if self._in_a_row is None:
                row = deflate_in_a_row(message.body for message in self._messages)
                self._in_a_row = b"".join([frame(TEXT, data, compressed=True) for data in row])
            return self._in_a_row
        if self._alone is None:
            self._alone = b"".join([message.deflated for message in self._messages])
        return self._alone


class Message:
    """One text message, with each of its frames built at most once.

    Attributes:
        body: the JSON text, UTF-8, as it came from the broker.
    """

    __slots__ = ("_deflated", "_plain", "_redelivered", "body")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._plain: bytes | None = None
        self._deflated: bytes | None = None
        self._redelivered: Message | None = None

    @property
    def plain(self) -> bytes:
        """The frame for connections without compression."""
        if self._plain is None:
            self._plain = frame(TEXT, self.body)
        return self._plain

    @property
    def deflated(self) -> bytes:
        """The frame for connections with compression; plain where that is shorter."""
        if self._deflated is None:
            self._deflated = self.plain
            if len(self.body) >= DEFLATE_MIN_BYTES:
                data = deflate(self.body)
                if len(data) < len(self.body):
                    self._deflated = frame(TEXT, data, compressed=True)
        return self._deflated

    @property
    def redelivered(self) -> "Message":
        """The same message, saying ``"redelivered":true``."""
        if self._redelivered is None:
            text = self.body.rstrip()
            more = b'"redelivered":true}' if text[:-1].strip() == b"{" else b',"redelivered":true}'
            self._redelivered = Message(text[:-1] + more)
        return self._redelivered

    def frame(self, *, compressed: bool) -> bytes:
        """Return the frame for a connection."""
        return self.deflated if compressed else self.plain
