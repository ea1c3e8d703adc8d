"""Free TCP ports on the loopback address, and stepping around taken ones."""

from __future__ import annotations

import socket
from collections.abc import Iterator

LOOPBACK = "127.0.0.1"

# What `architecture.md` promises a reader who has nothing else on these ports.
DEFAULT_PORTS = {
    "dashboard": 8080,
    "edge-1": 8081,
    "ingest": 8082,
    "desk": 8083,
    "risk": 8084,
    "market": 8085,
}
SEARCH_SPAN = 1000  # ports looked at past the wanted one; further is a sign of something else


class NoFreePort(RuntimeError):
    """No port could be bound in the range that was searched."""


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether `port` can be listened on: on `host`, and not shadowed by a wildcard listener.

    Linux lets 127.0.0.1:8080 be bound with SO_REUSEADDR only when no socket listens on it, so a
    bind without that option refuses also ports in TIME_WAIT; servers set it, and so do we.
    """
    for address in (host, "0.0.0.0"):  # noqa: S104 - bound for an instant, never listened on
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def free_ports(host: str = LOOPBACK) -> Iterator[int]:
    """Distinct free ports of the kernel's choice, as many as are asked for.

    The sockets stay open until the iterator is closed, so that no port comes twice.
    """
    held: list[socket.socket] = []
    try:
        while True:
            probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.append(probe)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, 0))
            yield probe.getsockname()[1]
    finally:
        for probe in held:
            probe.close()


def take(count: int, host: str = LOOPBACK) -> list[int]:
    """`count` distinct free ports of the kernel's choice."""
    ports = free_ports(host)
    try:
        return [next(ports) for _ in range(count)]
    finally:
        ports.close()  # type: ignore[attr-defined]


def assign(names: list[str], *, host: str = LOOPBACK) -> dict[str, int]:
    """A port for every name: its default one, or the next free one after the defaults.

    A name without a default (a second edge) starts its search after the last default, so that
    nobody else's default is taken by it.

    Raises:
        NoFreePort: nothing free within `SEARCH_SPAN` ports.
    """
    first_other = max(DEFAULT_PORTS.values()) + 1
    taken: set[int] = set()
    result: dict[str, int] = {}
    for name in names:
        wanted = DEFAULT_PORTS.get(name)
        if wanted is None or wanted in taken or not is_free(wanted, host):
            wanted = next(
                (
                    port
                    for port in range(first_other, first_other + SEARCH_SPAN)
                    if port not in taken and is_free(port, host)
                ),
                None,
            )
        if wanted is None:
            raise NoFreePort(
                f"no free port for {name} in {first_other}–{first_other + SEARCH_SPAN}"
            )
        taken.add(wanted)
        result[name] = wanted
    return result
