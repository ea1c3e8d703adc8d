"""Connections whose user wants fewer quotes than the market has.

They hear the market through an audience of their own, so the many without a wish pay nothing.
"""

import asyncio

from tapewire.edge.connection.connection import Connection
from tapewire.edge.live.audience import Audience
from tapewire.edge.live.pace import Pace
from tapewire.edge.transport.frames import Message


class Pacing:
    """The paces of connections, and who hears which symbol at one.

    Attributes:
        audience: connections with a pace, by the market's topics.
    """

    def __init__(self) -> None:
        self.audience = Audience()
        self._paces: dict[Connection, Pace] = {}

    def __bool__(self) -> bool:
        """Return whether anybody has a pace."""
        return bool(self._paces)

    def __contains__(self, connection: Connection) -> bool:
        """Return whether ``connection`` has one."""
        return connection in self._paces

    def set(self, connection: Connection, rate: float | None) -> None:
        """Give a connection its pace, quotes of a symbol per second, or none."""
        if rate is None:
            self._paces.pop(connection, None)
        else:
            self._paces[connection] = Pace(rate)

    def quote(self, topic: str, message: Message) -> None:
        """Have everybody with a pace who hears ``topic`` told, each in their turn."""
        loop = asyncio.get_running_loop()
        for connection in self.audience.of(topic):
            delay_s = self._paces[connection].offer(topic, message, loop.time())
            if delay_s is not None:
                loop.call_later(delay_s, self._turn, connection, self._paces[connection])

    def _turn(self, connection: Connection, pace: Pace) -> None:
        due = pace.take(asyncio.get_running_loop().time())
        for topic, message in due.items():
            if topic in connection.topics:
                connection.live_message(topic, message)
