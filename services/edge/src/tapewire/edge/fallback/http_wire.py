"""The wire of a connection that has no socket of its own: HTTP requests come and fetch."""

import asyncio
from collections.abc import Callable

from tapewire.edge.connection.connection import Connection
from tapewire.edge.fallback.journal import Journal
from tapewire.edge.websocket.gate import Transport


class HttpWire:
    """Written by its connection, read by the requests of one client.

    Attributes:
        transport: the word for it in the metrics.
        journal: what was written.
        due: set when a reader should look.
        closed: set at the end.
        on_closed: called when the connection closed it.
        turn: held while one of the client's messages is carried out: they keep their order.
    """

    compressed = False
    keeps_window = False
    transport: Transport

    def __init__(self) -> None:
        self.journal = Journal()
        self.due = asyncio.Event()
        self.closed = asyncio.Event()
        self.turn = asyncio.Lock()
        self.on_closed: Callable[[], object] | None = None
        self._connection: Connection | None = None
        self._lagging = False
        self._received = 0

    @property
    def connection(self) -> Connection:
        """The connection that writes here."""
        assert self._connection is not None
        return self._connection

    def attach(self, connection: Connection) -> None:
        """Belong to ``connection``."""
        self._connection = connection

    def write(self, frames: bytes) -> None:
        """Take whole frames. Nothing happens once it is closed."""
        if self.journal.end is None:
            self.journal.write(frames)
            self.due.set()
            self._answer()  # a ping alone asks for what may have been proved before

    @property
    def straight(self) -> Callable[[bytes], object]:
        """What writes frames: here a list, which is as straight as can be."""
        return self.write

    def hang_up(self, code: int, reason: str) -> None:
        """End behind what was written."""
        self.journal.close(code, reason)
        self.closed.set()
        self.due.set()
        if self.on_closed is not None:
            self.on_closed()

    def prove(self, number: int) -> None:
        """The client received everything up to ``number``.

        Raises:
            ValueError: it was never sent.
        """
        if not 0 <= number <= self.journal.newest:
            raise ValueError(f"{number} was never sent")
        self._received = max(self._received, number)
        self._answer()

    def _answer(self) -> None:
        for payload in self.journal.answered(self._received):
            self.connection.on_pong(payload)

    def lag(self, lagging: bool) -> None:
        """Have live values replaced by newer ones, and recent messages wait; or no longer."""
        if lagging is self._lagging:
            return
        self._lagging = lagging
        if lagging:
            self.connection.on_pause()
        else:
            self.connection.on_resume()
