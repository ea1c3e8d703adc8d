"""Connections without a WebSocket: opened by a stream or a poll, spoken to by posts.

A connection's id names the edge that has it, so a request that reaches another edge is forwarded
(``forwarding``). It cannot be guessed, and is of no use without a token of the same user.
"""

import asyncio
import json
import secrets
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from tapewire.auth import Claims, TokenError, Verifier
from tapewire.contracts.frames import CloseCode
from tapewire.edge.connection.handshake import origin_allowed, token_of
from tapewire.edge.connection.refusals import close_code
from tapewire.edge.fallback.forwarding import Answer, Asked, Forwarding
from tapewire.edge.fallback.http_wire import HttpWire
from tapewire.edge.fallback.journal import End
from tapewire.edge.fallback.poll import Batch, PollWire
from tapewire.edge.fallback.stream import Stream, StreamWire
from tapewire.edge.runtime.clock import Clock
from tapewire.edge.runtime.tasks import Tasks
from tapewire.edge.settings import EdgeSettings
from tapewire.edge.websocket.gate import Gate

LOST: Final = End(1006, "no such connection")  # ended a while ago, or with its edge: come back
LEFT: Final = End(1000, "")
TOO_BIG: Final = End(1009, "a message was too big")

STATUS: Final[dict[int, int]] = {
    LOST.code: 410,
    TOO_BIG.code: 413,
    CloseCode.RATE_LIMITED: 429,
    CloseCode.TOO_MANY_CONNECTIONS: 429,
    CloseCode.TOKEN_EXPIRED: 401,
    CloseCode.TOKEN_REVOKED: 401,
    CloseCode.INVALID_TOKEN: 401,
    CloseCode.NO_AUTHENTICATION: 401,
    CloseCode.BAD_MESSAGE: 400,
    CloseCode.FORBIDDEN: 403,
}
"""The status that says the same as a close code; 503 for the others, which pass."""


class Refused(Exception):
    """The request is answered with a close code and its status."""

    def __init__(self, end: End) -> None:
        super().__init__(end.reason)
        self.end = end


class Fallbacks:
    """The connections of this edge that HTTP requests name, and the way to those of others."""

    def __init__(
        self,
        settings: EdgeSettings,
        *,
        gate: Gate,
        verifier: Verifier,
        clock: Clock,
        forwarding: Forwarding,
        tasks: Tasks,
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._verifier = verifier
        self._clock = clock
        self._forwarding = forwarding
        self._tasks = tasks
        self._wires: dict[str, HttpWire] = {}
        # For as long as a silent client may still come and ask how its connection ended.
        self._linger_s = settings.edge_heartbeat_interval_s + settings.edge_heartbeat_grace_s

    # Opening

    async def stream(self, request: Request) -> Response:
        """Return the response that carries a new connection, or refuse it."""
        wire = StreamWire()
        await self._open(wire, request)
        return Stream(wire, wire.connection)

    async def first_poll(self, request: Request) -> Response:
        """Open a connection; return its first batch, which begins with ``welcome``."""
        wire = PollWire(self._settings.edge_poll_s)
        await self._open(wire, request)
        return _response(_answered(await wire.poll(0)))

    async def _open(self, wire: HttpWire, request: Request) -> None:
        address = request.client.host if request.client else ""
        if not self._gate.allows(address):
            raise Refused(_end(CloseCode.RATE_LIMITED))
        connection = self._gate.enter(wire, wire.transport, address)
        connection.id = f"{self._forwarding.key}.{secrets.token_urlsafe(16)}"
        wire.attach(connection)
        try:
            if self._gate.admits(connection, request.headers):
                token = token_of(request.headers, ())
                if token is None:
                    connection.close(CloseCode.NO_AUTHENTICATION)
                else:
                    await self._authenticate(wire, token, dict(request.query_params))
        except BaseException:
            connection.ended(1011)
            raise
        if connection.closed:
            raise Refused(wire.journal.end or LOST)
        self._wires[connection.id] = wire
        wire.on_closed = lambda: self._clock.after(self._linger_s, lambda: self._forget(wire))

    async def _authenticate(self, wire: HttpWire, token: str, options: dict[str, str]) -> None:
        """Open the mailbox in a task of its own, which goes on when the request has ended."""
        opening = self._tasks.spawn(
            self._gate.authenticate(wire.connection, token, options), "open connection"
        )
        closed = self._tasks.spawn(wire.closed.wait(), "closed while it opens")
        try:
            await asyncio.wait((opening, closed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
        if opening.done():
            opening.result()

    def __len__(self) -> int:
        """Return how many connections can be named, those that ended a moment ago included."""
        return len(self._wires)

    def _forget(self, wire: HttpWire) -> None:
        self._wires.pop(wire.connection.id, None)

    # A connection that is there

    async def ask(self, request: Request, asked: Asked) -> Response:
        """Carry out a request for a connection, here or on the edge that has it."""
        if not origin_allowed(request.headers, self._settings.cors_origins):
            raise Refused(_end(CloseCode.FORBIDDEN))
        claims = await self._verified(request)
        asked = asked._replace(subject=claims.subject)
        key = asked.connection.partition(".")[0]
        if key == self._forwarding.key:
            return _response(await self.answer(asked))
        return _response(await self._forwarding.ask(key, asked) or _refusal(LOST))

    async def _verified(self, request: Request) -> Claims:
        token = token_of(request.headers, ())
        if token is None:
            raise Refused(_end(CloseCode.NO_AUTHENTICATION))
        try:
            return await self._verifier.verify(token)
        except TokenError as error:
            raise Refused(_end(close_code(error))) from None

    async def answer(self, asked: Asked) -> Answer:
        """Do what is asked of a connection of this edge."""
        try:
            wire = self._wires.get(asked.connection)
            if wire is None or wire.connection.user != asked.subject:
                raise Refused(LOST)
            wire.connection.last_seen = self._clock.now()
            match asked.what:
                case "poll":
                    return await self._poll(wire, asked)
                case "post":
                    return await self._post(wire, asked)
                case "leave":
                    return self._leave(wire)
        except Refused as refused:
            return _refusal(refused.end)
        except ValueError:
            return _refusal(_end(CloseCode.BAD_MESSAGE))

    async def _poll(self, wire: HttpWire, asked: Asked) -> Answer:
        if not isinstance(wire, PollWire):
            raise ValueError("a stream is not polled")
        batch = await wire.poll(asked.number)
        wire.connection.last_seen = self._clock.now()
        if batch.end is not None:
            self._forget(wire)
        return _answered(batch)

    async def _post(self, wire: HttpWire, asked: Asked) -> Answer:
        lines = [line for line in asked.text.split("\n") if line and not line.isspace()]
        if any(len(line.encode()) > self._settings.edge_message_bytes for line in lines):
            raise Refused(TOO_BIG)
        wire.prove(asked.number)
        async with wire.turn:
            for line in lines:
                if wire.connection.closed:
                    break
                await self._gate.take(wire.connection, line, {})
        if wire.journal.end is not None and not isinstance(wire, PollWire):
            raise Refused(wire.journal.end)
        return Answer(204, b"")

    def _leave(self, wire: HttpWire) -> Answer:
        wire.hang_up(*LEFT)
        wire.connection.ended(LEFT.code)
        self._forget(wire)
        return Answer(204, b"")


def refusal(refused: Refused) -> Response:
    """Return the response of a refusal."""
    return _response(_refusal(refused.end))


def _end(code: CloseCode) -> End:
    return End(code, code.name.lower().replace("_", " "))


def _refusal(end: End) -> Answer:
    body = {"code": end.reason.replace(" ", "_"), "message": end.reason, "closeCode": end.code}
    return Answer(STATUS.get(end.code, 503), json.dumps(body).encode())


def _answered(batch: Batch) -> Answer:
    messages = b",".join(entry.body for entry in batch.entries)
    body = b'{"cursor":%d,"messages":[%b]' % (batch.cursor, messages)
    if batch.end is not None:
        told: dict[str, Any] = batch.end._asdict()
        body += b',"close":%b' % json.dumps(told, separators=(",", ":")).encode()
    return Answer(200, body + b"}")


def _response(answer: Answer) -> Response:
    return Response(
        answer.body,
        answer.status,
        headers={"Cache-Control": "no-store"},
        media_type="application/json" if answer.body else None,
    )
