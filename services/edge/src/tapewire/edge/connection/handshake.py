"""What a handshake's headers say. Pure."""

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

BEARER: Final = "bearer."  # a subprotocol with a token, for browsers, which can set no header


def token_of(headers: Mapping[str, str], offered: Sequence[str]) -> str | None:
    """Return the bearer token of a header or of an offered subprotocol, in this order."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return next((p.removeprefix(BEARER) for p in offered if p.startswith(BEARER)), None)


def origin_allowed(headers: Mapping[str, str], allowed: tuple[str, ...]) -> bool:
    """Return whether a browser's page may connect: one on the list, or from this very host."""
    origin = headers.get("origin")
    if origin is None or "*" in allowed or origin in allowed:
        return True
    return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""


@lru_cache(maxsize=1024)  # addresses are parsed in Python, and a proxy's is everybody's
def is_local(address: str) -> bool:
    """Return whether a peer is on this machine, as a proxy beside the edge is."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return True  # a Unix socket
