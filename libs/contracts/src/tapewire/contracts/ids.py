"""Identifiers: how they are made, and how they stand in routing keys and queue names."""

import base64
import hashlib
import os
import time
from typing import Final
from uuid import UUID

EVERYONE: Final = "all"  # the user word of a message that is for everyone
NONE: Final = "-"  # the session word of a message that belongs to no session
RESERVED: Final = frozenset({EVERYONE, NONE})

MAX_ID_LENGTH: Final = 64  # characters
MAX_WORD_BYTES: Final = 96  # two ids, kind and detail then fit AMQP's 255 octets of a short string

_ESCAPED: Final = frozenset(".*#%/")  # the topic alphabet, the escape itself, and a digest's mark
_DIGEST_MARK: Final = "/"


class NotReversible(ValueError):
    """The word is the digest of an over-long id; the id itself is in the message's body."""


def escape(identifier: str) -> str:
    """Return ``identifier`` as one word of a routing key, at most 96 bytes of UTF-8.

    ``.``, ``*``, ``#``, ``%``, ``/`` and control characters become ``%XX``; so does the first
    character of a reserved word (``all``, ``-``), so that no id can be taken for everyone. An id
    that is still too long becomes ``/`` and 52 characters of its SHA-256, which cannot be turned
    back but is as good as unique.

    Raises:
        ValueError: ``identifier`` is empty.
    """
    if not identifier:
        raise ValueError("an id must not be empty")
    word = "".join(
        _percent(c) if c in _ESCAPED or c < " " or c == "\x7f" else c for c in identifier
    )
    if word in RESERVED:
        word = _percent(word[0]) + word[1:]
    if len(word.encode()) <= MAX_WORD_BYTES:
        return word
    digest = hashlib.sha256(identifier.encode()).digest()
    return _DIGEST_MARK + base64.b32encode(digest).decode().rstrip("=").lower()


def unescape(word: str) -> str:
    """Return the id that ``escape`` made ``word`` of.

    Raises:
        NotReversible: ``word`` is a digest.
        ValueError: ``word`` is no output of ``escape``.
    """
    if word.startswith(_DIGEST_MARK):
        raise NotReversible(word)
    out: list[str] = []
    rest = iter(word)
    for char in rest:
        if char == "%":
            code = next(rest, "") + next(rest, "")
            out.append(chr(int(code, 16)))
        else:
            out.append(char)
    return "".join(out)


def new_id(*, now_ms: int | None = None, random: bytes | None = None) -> str:
    """Return a UUIDv7 (RFC 9562, 5.7): sorts by time of making; 10 bytes of randomness."""
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    noise = os.urandom(10) if random is None else random
    value = (ms & ((1 << 48) - 1)) << 80 | int.from_bytes(noise, "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=value))


def _percent(char: str) -> str:
    return f"%{ord(char):02X}"
