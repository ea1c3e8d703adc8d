"""Snapshots: the state of a channel at the moment of subscribing, from the services that own it."""

import json
import logging
from collections.abc import Iterable
from typing import Final

from tapewire.broker import BrokerError, Caller, topology
from tapewire.edge.connection.channels import Plan
from tapewire.edge.connection.connection import Connection
from tapewire.edge.transport.frames import Message

log = logging.getLogger(__name__)

MARKET: Final = ("market",)
DESK: Final = ("sessions", "session")


class Snapshots:
    """Asks for snapshots and writes them to one connection.

    A service that is away costs nothing but the snapshot: the subscription stands already.
    """

    def __init__(self, caller: Caller, *, deadline_s: float) -> None:
        self._caller = caller
        self._deadline_s = deadline_s

    async def show(self, connection: Connection, plans: Iterable[Plan]) -> None:
        """Write a snapshot of each channel that has one and is still subscribed to."""
        names = [given.name for given in plans]
        if market := [name for name in names if name.partition(":")[0] in MARKET]:
            await self._ask(connection, topology.MARKET_SNAPSHOT.name, {"channels": market}, market)
        for user, channels in _by_owner(connection, names).items():
            request = {"userId": user, "channels": channels}
            await self._ask(connection, topology.DESK_SNAPSHOT.name, request, channels)

    async def _ask(
        self, connection: Connection, queue: str, request: object, channels: list[str]
    ) -> None:
        try:
            answer = await self._caller.call(
                queue, json.dumps(request).encode(), timeout_s=self._deadline_s
            )
        except BrokerError as error:
            log.info("no snapshot: %s", error)
            return
        if any(name in connection.plans for name in channels):
            for number, line in enumerate(answer.splitlines()):
                if line:
                    connection.live_message(f"{queue} {number}", Message(line))


def _by_owner(connection: Connection, names: list[str]) -> dict[str, list[str]]:
    """Return the channels to ask ``desk`` for, by the user whose they are."""
    assert connection.claims is not None
    found: dict[str, list[str]] = {}
    for name in names:
        kind, _, rest = name.partition(":")
        if kind == "sessions":
            found.setdefault(rest, []).append(name)
        elif kind == "session":
            for user in connection.claims.users:
                found.setdefault(user, []).append(name)
    return found
