"""Free TCP ports on the loopback address, and stepping around taken ones."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from itertools import chain
from pathlib import Path

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
# Below the range that Linux and macOS hand to outgoing connections: what is free stays free while
# the broker boots.
PRIVATE_PORTS = range(15000, 32000)
LAST_PORT = 9100  # the search for another port ends here: past it something else is wrong


class NoFreePort(RuntimeError):
    """No port could be bound in the range that was searched."""


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether `port` can be listened on: on `host`, and not shadowed by a wildcard listener.

    Linux lets 127.0.0.1:8080 be bound with SO_REUSEADDR only when no socket listens on it, so a
    bind without that option refuses also ports in TIME_WAIT; servers set it, and so do we.
    """
    for address in (host, "0.0.0.0"):  # bound for an instant, never listened on
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def take(count: int, host: str = LOOPBACK, *, choose: random.Random | None = None) -> list[int]:
    """`count` distinct free ports out of `PRIVATE_PORTS`, wherever there is room.

    Raises:
        NoFreePort: that range is full.
    """
    choose = choose or random.Random()
    found: list[int] = []
    for port in choose.sample(PRIVATE_PORTS, len(PRIVATE_PORTS)):
        if len(found) == count:
            return found
        if is_free(port, host):
            found.append(port)
    raise NoFreePort(f"no {count} free ports in {PRIVATE_PORTS}")


class Claims:
    """The ports of a fleet that is starting, so that another one at the same time looks elsewhere.

    Between choosing a port and listening on it lie seconds. A claim is a lock on a file in the
    temporary directory that all fleets of the machine share; the kernel drops it with the process.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory or Path(tempfile.gettempdir())
        self._held: list[int] = []

    def claim(self, port: int) -> bool:
        """Claims `port` for as long as this process lives; False when another fleet has it."""
        path = self._directory / f"tapewire-port-{port}.lock"
        try:
            descriptor = os.open(path, os.O_RDONLY)  # perhaps another user's
        except FileNotFoundError:
            descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._held.append(descriptor)
        return True

    def release(self) -> None:
        """Lets go of everything."""
        while self._held:
            os.close(self._held.pop())


def assign(names: list[str], claims: Claims, *, host: str = LOOPBACK) -> dict[str, int]:
    """A port for every name: its default one, or the next free one after the defaults.

    A name without a default (a second edge) starts its search after the last default, so that
    nobody else's default is taken by it.

    Raises:
        NoFreePort: nothing is free up to `LAST_PORT`.
    """
    others = iter(range(max(DEFAULT_PORTS.values()) + 1, LAST_PORT))
    result: dict[str, int] = {}
    for name in names:
        candidates = chain([DEFAULT_PORTS[name]] if name in DEFAULT_PORTS else [], others)
        free = (port for port in candidates if is_free(port, host) and claims.claim(port))
        port = next(free, None)
        if port is None:
            raise NoFreePort(f"no free port for {name} up to {LAST_PORT}")
        result[name] = port
    return result
