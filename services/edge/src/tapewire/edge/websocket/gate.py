"""`/ws`: from a handshake to a closed socket. The ASGI side of a connection."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from tapewire.auth import Claims, Revoking, TokenError, Verifier
from tapewire.contracts.frames import (
    SUBPROTOCOL,
    Authenticate,
    CloseCode,
    Draining,
)
from tapewire.edge.connection.connection import Connection
from tapewire.edge.connection.flusher import Flusher
from tapewire.edge.connection.handshake import is_local, origin_allowed, token_of
from tapewire.edge.connection.leaving import Leaving
from tapewire.edge.connection.limits import Handshakes
from tapewire.edge.connection.refusals import close_code
from tapewire.edge.connection.session import Do, Hang, Say, Step
from tapewire.edge.mailbox.mailboxes import Mailboxes, TooManyConnections
from tapewire.edge.runtime.clock import Clock
from tapewire.edge.runtime.tasks import Tasks
from tapewire.edge.settings import EdgeSettings
from tapewire.edge.transport.protocol import EXTENSION, Socket
from tapewire.edge.transport.wire import Tally, Wire
from tapewire.edge.websocket.conduct import Conduct
from tapewire.edge.websocket.turnstile import Turnstile
from tapewire.edge.websocket.welcome import welcome
from tapewire.service import metrics

log = logging.getLogger(__name__)

Transport: TypeAlias = Literal["ws", "sse", "poll"]
TRANSPORTS: Final[tuple[Transport, ...]] = ("ws", "sse", "poll")

DRAIN_TURN_S: Final = 0.02  # a handful of closes at the default pace: no burst for who takes them


class Gate:
    """The ASGI application behind `/ws`; also the component that drains connections.

    What stands in for a WebSocket (``fallback``) opens its connections here, too.
    """

    name = "connections"

    def __init__(
        self,
        settings: EdgeSettings,
        *,
        verifier: Verifier,
        revoking: Revoking,
        mailboxes: Mailboxes,
        conduct: Conduct,
        clock: Clock,
        tasks: Tasks,
        tally: Tally,
    ) -> None:
        self._settings = settings
        self._limits = settings.limits
        self._verifier = verifier
        self._revoking = revoking
        revoking.on_news.append(self._look_for_revoked)
        self._looking = False
        self._mailboxes = mailboxes
        self._conduct = conduct
        self._clock = clock
        self._tasks = tasks
        self._tally = tally
        self._turnstile = Turnstile(clock)
        self._handshakes = Handshakes(self._limits.handshakes_per_s)
        self._connections: dict[Connection, Transport] = {}
        self._flusher: Flusher | None = None
        self._draining = False
        self._welcomed = metrics.histogram(metrics.WELCOME_LATENCY)

    # Component

    async def start(self) -> None:
        """Begin to accept."""
        self._draining = False
        self._flusher = Flusher(asyncio.get_running_loop().call_soon)

    async def drain(self) -> None:
        """Accept nobody, tell everybody, and close connections (4000) at the pace of `Leaving`."""
        self._draining = True
        connections = list(self._connections)
        leaving = Leaving(
            len(connections),
            per_s=self._settings.edge_drain_per_s,
            at_most_s=self._settings.drain_window_s,
        )
        notice = Draining(window_ms=int(leaving.spread_s * 1000))
        for connection in connections:
            if connection.live:
                connection.say(notice)
        began, closed = self._clock.now(), 0
        while closed < len(connections):
            await asyncio.sleep(DRAIN_TURN_S)
            due = leaving.due(self._clock.now() - began, closed, self._mailboxes.being_given_back)
            for connection in connections[closed : closed + due]:
                connection.close(CloseCode.DRAINING)
            closed += due

    async def stop(self) -> None:
        """Close whoever is left."""
        for connection in list(self._connections):
            connection.close(CloseCode.DRAINING)

    def health(self) -> str | None:
        """Return None while connections are accepted."""
        return "draining" if self._draining else None

    @property
    def connections(self) -> dict[Transport, int]:
        """How many connections are open, by transport."""
        found = dict.fromkeys(TRANSPORTS, 0)
        for transport in self._connections.values():
            found[transport] += 1
        return found

    # ASGI

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket."""
        wire: Socket | None = scope.get("extensions", {}).get(EXTENSION)
        if wire is None:
            raise RuntimeError("run the edge with its own protocol: `python -m tapewire.edge`")
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        address = scope["client"][0] if scope.get("client") else ""
        await receive()  # websocket.connect
        if not self.allows(address):
            await _deny(send, 429)
            return
        offered: list[str] = scope.get("subprotocols", [])
        await send(
            {
                "type": "websocket.accept",
                "subprotocol": SUBPROTOCOL if SUBPROTOCOL in offered else None,
            }
        )
        connection = self.enter(wire, "ws", address)
        wire.listener = connection
        try:
            if self.admits(connection, headers):
                query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
                token = token_of(headers, offered)
                # A request is 5 KB that nobody reads again while its socket is open.
                del headers, offered
                scope.clear()
                await self._converse(connection, token, query, receive)
        finally:
            connection.ended(1011 if connection.close_code is None else connection.close_code)

    # Steps of a conversation, whatever carries it

    def allows(self, address: str) -> bool:
        """Return whether one more connection from ``address`` may be opened now."""
        if is_local(address) or self._handshakes.allow(address, self._clock.now()):
            return True
        metrics.counter(metrics.RATE_LIMITED).add(1, {"limit": "handshakes"})
        log.warning("too many handshakes", extra={"address": address})
        return False

    def enter(self, wire: Wire, transport: Transport, address: str) -> Connection:
        """Return a new connection over ``wire``, counted until it is closed."""
        assert self._flusher is not None
        connection = Connection(
            wire,
            self._flusher,
            self._tally,
            self._limits,
            now=self._clock.now(),
            address=address,
            on_close=self._closed,
        )
        self._connections[connection] = transport
        return connection

    def admits(self, connection: Connection, headers: Mapping[str, str]) -> bool:
        """Return whether it may go on; otherwise it is closed with its code."""
        if self._draining:
            connection.close(CloseCode.DRAINING)
        elif not origin_allowed(headers, self._settings.cors_origins):
            log.warning(
                "origin refused",
                extra={"origin": headers.get("origin"), "address": connection.address},
            )
            connection.close(CloseCode.FORBIDDEN)
        elif len(self._connections) > self._limits.connections:
            metrics.counter(metrics.RATE_LIMITED).add(1, {"limit": "connections"})
            connection.close(CloseCode.OVERLOADED)
        return not connection.closed

    async def _converse(
        self,
        connection: Connection,
        token: str | None,
        query: dict[str, str],
        receive: Receive,
    ) -> None:
        if token is not None:
            await self.authenticate(connection, token, query)
            token = None
        else:
            self._await_token(connection, self._clock.now() + self._settings.edge_auth_deadline_s)
        while not connection.closed:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                connection.ended(message.get("code", 1005))
                return
            await self.take(connection, message.get("text"), query)

    async def take(
        self, connection: Connection, text: str | bytes | None, query: dict[str, str]
    ) -> None:
        """Carry out a client's message; one at a time of each connection. None: a binary one."""
        for action in connection.session.receive(text, self._clock.now()):
            match action:
                case Say(frame):
                    connection.say(frame)
                case Hang(code):
                    log.warning(
                        "connection closed for its conduct",
                        extra={
                            "code": int(code),
                            "address": connection.address,
                            "subject": connection.claims and connection.claims.subject,
                        },
                    )
                    connection.close(code)
                case Do(Authenticate() as asked):
                    given: dict[str, Any] = {"clientId": asked.client_id, "inbox": asked.inbox}
                    if asked.resume is not None:
                        given["resume"] = "true" if asked.resume else "false"
                    merged = query | {key: value for key, value in given.items() if value}
                    await self.authenticate(connection, asked.token, merged)
                case Do(frame):
                    await self._conduct.carry_out(connection, frame)

    async def authenticate(
        self, connection: Connection, token: str, options: dict[str, str]
    ) -> None:
        """Welcome the owner of ``token`` to their mailbox, or close with the reason's code.

        Run in a task that the client's disconnect does not reach: a WebSocket's own is one.
        """
        connection.session.step(Step.TOKEN)
        client = options.get("clientId") or None
        if client is not None and (len(client) > 64 or client in ("all", "-")):
            connection.close(CloseCode.BAD_MESSAGE)
            return
        try:
            claims = await self._verifier.verify(token)
        except TokenError as error:
            self._refuse(connection, error)
            return
        if connection.closed:
            return
        connection.identify(claims)
        connection.client_id = client
        connection.own_inbox = client is not None and options.get("inbox") == "own"
        connection.resume = options.get("resume", "").lower() in ("true", "1")
        connection.session.step(Step.VERIFIED)
        await self._welcome(connection, claims)

    async def _welcome(self, connection: Connection, claims: Claims) -> None:
        try:
            place = await self._turnstile.enter(self._settings.edge_attach_deadline_s)
        except TimeoutError:
            connection.close(CloseCode.OVERLOADED)
            return
        try:
            await self._open(connection, claims)
        finally:
            place.leave()

    async def _open(self, connection: Connection, claims: Claims) -> None:
        if connection.closed:  # while it waited for its turn
            return
        # On a timer of the wheel, and not by cancelling: what was begun on the broker goes on.
        connection.remember(
            "attach",
            self._clock.after(
                self._settings.edge_attach_deadline_s,
                lambda: connection.close(CloseCode.OVERLOADED),  # broker away or swamped: come back
            ),
        )
        try:
            arrival = await self._mailboxes.open(connection)
        except TooManyConnections:
            metrics.counter(metrics.RATE_LIMITED).add(1, {"limit": "connections"})
            connection.close(CloseCode.TOO_MANY_CONNECTIONS)
            return
        if connection.closed:
            return
        if arrival.gap:
            metrics.counter(metrics.GAPS).add(1)
        connection.welcome(
            welcome(
                connection,
                claims,
                arrival,
                self._limits,
                heartbeat_interval_s=self._settings.edge_heartbeat_interval_s,
                now=datetime.now(UTC),
            )
        )
        connection.forget("attach")
        connection.forget("token")
        now = self._clock.now()
        self._welcomed.record(now - connection.opened_at)
        self._mailboxes.join(connection)
        self._conduct.welcomed(connection)

    # What ends a connection

    def _await_token(self, connection: Connection, until: float) -> None:
        """Close a connection that has not said by then who it is, if it was listened to."""
        grace_s = self._settings.edge_heartbeat_grace_s

        def look() -> None:
            if connection.claims is not None:
                return
            if self._clock.attention.has_passed(until, grace_s):
                connection.close(CloseCode.NO_AUTHENTICATION)
            else:
                self._await_token(connection, until)

        due = self._clock.attention.passes_at(until, grace_s)
        connection.remember("token", self._clock.after(due - self._clock.now(), look))

    def _refuse(self, connection: Connection, error: TokenError) -> None:
        log.warning("token refused", extra={"reason": error.reason, "address": connection.address})
        connection.close(close_code(error))

    def _look_for_revoked(self) -> None:
        """Close whoever came with a token that was revoked since. One look for all news of a tick.

        Also those that still wait for their mailbox: they are connections by now.
        """
        if not self._looking:
            self._looking = True
            self._clock.after(0.0, self._close_revoked)

    def _close_revoked(self) -> None:
        self._looking = False
        for connection in list(self._connections):
            if connection.claims is None:
                continue
            refusal = self._revoking.refusal(connection.claims)
            if refusal is not None and not connection.closed:
                log.warning(
                    "token revoked",
                    extra={"subject": connection.user, "address": connection.address},
                )
                connection.close(close_code(refusal))

    def _closed(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        self._mailboxes.leave(connection)


async def _deny(send: Send, status: int) -> None:
    await send({"type": "websocket.http.response.start", "status": status, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b""})
