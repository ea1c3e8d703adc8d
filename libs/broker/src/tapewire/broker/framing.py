"""AMQP's frames, where pamqp's way to make them is too long.

pamqp walks a method's fields each time that it marshals one, 5 to 8 µs. What is asked for each user
differs in names only, so it is marshalled once, with gaps that are filled.
"""

import struct
from collections.abc import Mapping
from typing import Final, TypeAlias

from pamqp.base import Frame

Question: TypeAlias = Frame | bytes
"""A method of pamqp's, or the payload of its frame."""

HEAD: Final = struct.Struct(">BHI")  # type, channel, size
METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
LAST: Final = b"\xce"

NAME_BYTES: Final = 255

_CONTENT: Final = struct.Struct(">BHIHHQ")  # of a header: as `HEAD`; class, weight, size of body
_BASIC: Final = 60
_LONG: Final = struct.Struct(">I")
_TRANSIENT: Final = struct.pack(">H", 1 << 13 | 1 << 12 | 1 << 5)  # headers, delivery mode, type


def method(number: int, payload: bytes) -> bytes:
    """Return the frame of a method on AMQP channel ``number``."""
    return HEAD.pack(METHOD, number, len(payload)) + payload + LAST


def content(number: int, properties: bytes, body: bytes, size: int) -> bytes:
    """Return a message's frames behind its method, with at most ``size`` bytes of body each."""
    parts = [
        _CONTENT.pack(HEADER, number, 12 + len(properties), _BASIC, 0, len(body)),
        properties,
        LAST,
    ]
    for at in range(0, len(body), size):
        part = body[at : at + size]
        parts += (HEAD.pack(BODY, number, len(part)), part, LAST)
    return b"".join(parts)


def transient(kind: str, headers: Mapping[str, str | bool]) -> bytes:
    """Return the properties of a message that need not outlive the broker: its type, its headers.

    They are marshalled as by pamqp, for which each header is 2 to 4 µs.
    """
    table = b"".join([header(name, value) for name, value in headers.items()])
    return b"".join((_TRANSIENT, _LONG.pack(len(table)), table, b"\x01", _short(kind)))


def header(name: str, value: str | bool) -> bytes:
    """Return one header as it stands among a message's properties."""
    if isinstance(value, str):
        data = value.encode()
        return b"".join((_short(name), b"S", _LONG.pack(len(data)), data))
    return _short(name) + (b"t\x01" if value else b"t\x00")


class Stencil:
    """One method's payload, with gaps.

    Args:
        question: the method, with ``names`` where others are to stand.
        names: what stands there, in the order of its fields; each once.

    Raises:
        ValueError: the method does not have these names so.
    """

    def __init__(self, question: Frame, *names: str) -> None:
        rest = whole = question.index.to_bytes(4, "big") + question.marshal()
        self._parts: list[bytes] = []
        for name in names:
            part, gap, rest = rest.partition(_short(name))
            if not gap or whole.count(gap) > 1:
                raise ValueError(f"{question!r} does not have {name!r} once, and in this order")
            self._parts.append(part)
        self._rest = rest

    def fill(self, *names: str) -> bytes:
        """Return the payload with these names.

        Raises:
            ValueError: a name is longer than AMQP allows, or they are not as many as the gaps.
        """
        pieces: list[bytes] = []
        for part, name in zip(self._parts, names, strict=True):
            pieces += (part, _short(name))
        pieces.append(self._rest)
        return b"".join(pieces)


def _short(name: str) -> bytes:
    data = name.encode()
    if len(data) > NAME_BYTES:
        raise ValueError(f"a name has at most {NAME_BYTES} bytes: {name!r}")
    return bytes((len(data),)) + data
