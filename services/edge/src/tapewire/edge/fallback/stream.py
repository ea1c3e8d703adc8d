"""`GET /v1/stream`: a connection that writes server-sent events.

Each message is an event without a name, its number in the connection the event's id. Besides::

    event: ping     asks for proof: post with ``received=17``
    data: 17

    event: close    the end
    data: {"code":4000,"reason":"draining"}
"""

import asyncio
import json
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tapewire.edge.connection.connection import Connection
from tapewire.edge.fallback.http_wire import HttpWire
from tapewire.edge.fallback.journal import End, Entry
from tapewire.edge.transport.outbound import HIGH_WATER
from tapewire.edge.websocket.gate import Transport

EXTENSION: Final = "tapewire.transport"
RETRY_MS: Final = 2000  # for libraries that reconnect by themselves
CLOSE_DEADLINE_S: Final = 5.0  # for what is due at the end; who does not read it is cut off
HEADERS: Final = {
    "Content-Type": "text/event-stream",  # always UTF-8
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",  # for nginx, and for those that learned from it
}


class StreamWire(HttpWire):
    """The wire of a streamed connection."""

    transport: Transport = "sse"

    def __init__(self) -> None:
        super().__init__()
        self._pings = 0

    def write(self, frames: bytes) -> None:
        """Take whole frames."""
        super().write(frames)
        if self.journal.size > HIGH_WATER:
            self.lag(True)

    def take(self) -> tuple[bytes, bool]:
        """Return what is due, as events, and whether it is the last."""
        self.due.clear()
        journal = self.journal
        parts = [_event(entry) for entry in journal.first(HIGH_WATER)]
        journal.forget(len(parts))
        if journal:
            self.due.set()
            return b"".join(parts), False
        self.lag(False)
        if journal.pings > self._pings:  # what was proved before, too: it asks for a sign of life
            self._pings = journal.pings
            parts.append(b"event: ping\ndata: %d\n\n" % journal.asked)
        if journal.end is not None:
            parts.append(_close(journal.end))
        return b"".join(parts), journal.end is not None


class Stream(Response):
    """The response that carries a welcomed connection, for as long as both sides want."""

    def __init__(self, wire: StreamWire, connection: Connection) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._wire = wire
        self._connection = connection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write until the connection is closed or the client has gone."""
        transport: asyncio.Transport | None = scope.get("extensions", {}).get(EXTENSION)
        writing = asyncio.create_task(self._write(send), name="event stream")
        gone = asyncio.create_task(_gone(receive), name="event stream's client")
        closed = asyncio.create_task(self._wire.closed.wait(), name="event stream's end")
        tasks = (writing, gone, closed)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if closed.done() and not gone.done():
                await asyncio.wait(
                    (writing, gone),
                    timeout=CLOSE_DEADLINE_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not (writing.done() or gone.done()) and transport is not None:
                    transport.abort()
                    await gone
        finally:
            self._connection.ended(1006)
            self._wire.hang_up(1006, "connection lost")  # if nothing else has ended it
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": self.raw_headers},
        )
        data = b"retry: %d\n\n" % RETRY_MS
        last = False
        while not last:
            await send({"type": "http.response.body", "body": data, "more_body": True})
            await self._wire.due.wait()
            data, last = self._wire.take()
        await send({"type": "http.response.body", "body": data, "more_body": False})


def _event(entry: Entry) -> bytes:
    return b"id: %d\ndata: %b\n\n" % (entry.number, entry.body)


def _close(end: End) -> bytes:
    told: dict[str, Any] = end._asdict()
    return b"event: close\ndata: %b\n\n" % json.dumps(told, separators=(",", ":")).encode()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
