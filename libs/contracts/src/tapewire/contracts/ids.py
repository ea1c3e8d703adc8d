"""Identifiers: how they are made, and how they stand in routing keys and queue names."""

import base64
import hashlib
import os
import string
import time
from typing import Final
from uuid import UUID

EVERYONE: Final = "all"  # the user word of a message that is for everyone
NONE: Final = "-"  # the session word of a message that belongs to no session
RESERVED: Final = frozenset({EVERYONE, NONE})

MAX_ID_LENGTH: Final = 64  # characters
MAX_WORD_BYTES: Final = 96  # two ids, kind and detail then fit AMQP's 255 octets of a short string

_PLAIN: Final = frozenset(string.ascii_letters + string.digits + "-_@")
_MARK: Final = ":"  # before two hex digits; pamqp refuses `%` in queue names
_DIGEST_MARK: Final = "/"


class NotReversible(ValueError):
    """The word is the digest of an over-long id; the id itself is in the message's body."""


def escape(identifier: str) -> str:
    """Return ``identifier`` as one word of a routing key or queue name, at most 96 bytes of ASCII.

    Letters, digits, ``-``, ``_`` and ``@`` stand for themselves; of everything else each byte of
    UTF-8 becomes ``:XX``. So does the first character of a reserved word (``all``, ``-``), so that
    no id can be taken for everyone. What is still too long becomes ``/`` and 52 characters of the
    id's SHA-256: as good as unique, but not to be turned back.

    Raises:
        ValueError: ``identifier`` is empty.
    """
    if not identifier:
        raise ValueError("an id must not be empty")
    if identifier in RESERVED:
        return _escaped(identifier[0]) + identifier[1:]
    if len(identifier) <= MAX_WORD_BYTES and _PLAIN.issuperset(identifier):
        return identifier
    word = "".join(c if c in _PLAIN else _escaped(c) for c in identifier)
    if len(word) <= MAX_WORD_BYTES:
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
    out = bytearray()
    rest = iter(word)
    for char in rest:
        if char == _MARK:
            out.append(int(next(rest, "") + next(rest, ""), 16))
        else:
            out += char.encode()
    return out.decode()


def new_id(*, now_ms: int | None = None, random: bytes | None = None) -> str:
    """Return a UUIDv7 (RFC 9562, 5.7): sorts by time of making; 10 bytes of randomness."""
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    noise = os.urandom(10) if random is None else random
    value = (ms & ((1 << 48) - 1)) << 80 | int.from_bytes(noise, "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=value))


def _escaped(char: str) -> str:
    return "".join(f"{_MARK}{byte:02X}" for byte in char.encode())
