"""URLs of edges and ingests."""

import random
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def socket_url(url: str) -> str:
    """Return the URL of the socket for an edge's base URL, or for one that is whole.

    ``http`` becomes ``ws``; a path that is missing becomes ``/ws``.

    Raises:
        ValueError: it is no http(s) or ws(s) URL, or carries a query (tokens do not go there).
    """
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in {"ws", "wss"} or not parts.hostname:
        raise ValueError(f"not the URL of an edge: {url!r}")
    if parts.query or parts.fragment:
        raise ValueError(f"an edge's URL has no query: {url!r}")
    path = "/ws" if parts.path in {"", "/"} else parts.path
    return urlunsplit((scheme, parts.netloc, path, "", ""))


def socket_urls(url: str | Sequence[str], *, shuffle: bool) -> list[str]:
    """Return the URLs of the sockets of one edge or several, in the order in which to try them.

    Args:
        url: as for ``socket_url``, or several.
        shuffle: put several into an order of chance, so that an edge that hangs is not everybody's
            first at each start, and those whom an edge loses do not all go to the same next one.

    Raises:
        ValueError: there is none, or as ``socket_url``.
    """
    urls = [socket_url(each) for each in ([url] if isinstance(url, str) else url)]
    if not urls:
        raise ValueError("at least one URL")
    if shuffle:
        random.shuffle(urls)
    return urls


def is_loopback(url: str) -> bool:
    """Return whether ``url`` is on this machine, where no proxy of the environment is wanted."""
    return urlsplit(url).hostname in LOOPBACK
