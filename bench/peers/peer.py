"""What a peer is to a scenario."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from bench.websocket import Script


class Hub(Protocol):
    """A running server that sends what is published to every subscribed connection.

    Attributes:
        name: as the table shows it.
        pid: whose CPU counts.
        port: for clients.
    """

    name: str
    pid: int
    port: int

    def scripts(self, count: int) -> Sequence[Script]:
        """Return how ``count`` clients open and subscribe."""
        ...

    async def publish(self, messages: int) -> None:
        """Publish so many messages of 200 bytes at once, and return when they are taken."""
        ...


class Peer(NamedTuple):
    """A peer that can be run. ``start`` raises ``NotHere`` where it is not installed."""

    name: str
    start: Callable[[], AbstractAsyncContextManager[Hub]]
