"""A welcomed connection's requests, and the deadlines it is held to.

Contents: message → what is done.

| message | done |
|---|---|
| subscribe, unsubscribe | bindings changed on the broker, then the reply, then snapshots |
| ack | trays settle |
| refresh | claims replaced; channels that they do not give any more are taken back |
| command | published with a confirm, then ``accepted`` |
"""

import asyncio
import logging
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from tapewire.auth import Claims, TokenError, Unverifiable, Verifier
from tapewire.auth.verifier import LEEWAY_S
from tapewire.broker import NotConfirmed
from tapewire.contracts.frames import (
    Ack,
    Authenticate,
    CloseCode,
    Command,
    Error,
    ErrorCode,
    Refresh,
    Refreshed,
    Rejected,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
)
from tapewire.edge.connection.commands import Commands, Forbidden
from tapewire.edge.connection.connection import Connection
from tapewire.edge.connection.refusals import close_code
from tapewire.edge.live.snapshots import Snapshots
from tapewire.edge.mailbox.mailboxes import Mailboxes
from tapewire.edge.runtime.clock import Clock
from tapewire.edge.runtime.tasks import Tasks
from tapewire.edge.websocket.subscribing import Subscribing
from tapewire.service import metrics

log = logging.getLogger(__name__)

T = TypeVar("T")

DAY_S = 86_400.0  # the wheel is asked again each day: a token may be good for centuries


class Conduct:
    """Carries out what welcomed clients ask for."""

    def __init__(
        self,
        *,
        mailboxes: Mailboxes,
        subscribing: Subscribing,
        snapshots: Snapshots,
        commands: Commands,
        verifier: Verifier,
        clock: Clock,
        tasks: Tasks,
        heartbeat_interval_s: float,
        heartbeat_grace_s: float,
    ) -> None:
        self._mailboxes = mailboxes
        self._subscribing = subscribing
        self._snapshots = snapshots
        self._commands = commands
        self._verifier = verifier
        self._clock = clock
        self._tasks = tasks
        self._interval_s = heartbeat_interval_s
        self._grace_s = heartbeat_grace_s
        self._silence_s = heartbeat_interval_s + heartbeat_grace_s
        self._seen = metrics.counter(metrics.CLIENT_MESSAGES)

    def welcomed(self, connection: Connection) -> None:
        """Begin what goes on for as long as the connection does."""
        self._watch(connection, self._clock.now() + self._interval_s)
        self._expire(connection)
        if any(not name.startswith("user:") for name in connection.plans):
            self._tasks.spawn(
                self._snapshots.show(connection, list(connection.plans.values())), "snapshots"
            )

    async def carry_out(
        self,
        connection: Connection,
        frame: Authenticate | Subscribe | Unsubscribe | Ack | Refresh | Command,
    ) -> None:
        """Do what ``frame`` asks for, and reply."""
        self._seen.add(1, {"type": frame.type})
        match frame:
            case Ack():
                self._ack(connection, frame)
            case Subscribe():
                await self._shielded(self._subscribe(connection, frame), "subscribe")
            case Unsubscribe():
                await self._shielded(self._unsubscribe(connection, frame), "unsubscribe")
            case Refresh():
                await self._refresh(connection, frame)
            case Command():  # a confirm may take seconds; acks must not wait behind it
                self._tasks.spawn(self._command(connection, frame), "command")
            case Authenticate():
                raise AssertionError("the session lets no second one through")

    async def _shielded(self, work: Coroutine[Any, Any, T], name: str) -> T:
        return await asyncio.shield(self._tasks.spawn(work, name))

    def _ack(self, connection: Connection, frame: Ack) -> None:
        assert connection.claims is not None
        if not connection.claims.may("alerts:ack"):
            self._say_error(connection, None, "forbidden", "the token lacks the scope alerts:ack")
            return
        self._mailboxes.ack(connection, frame.ids or (), frame.up_to)

    async def _subscribe(self, connection: Connection, frame: Subscribe) -> None:
        granted = await self._subscribing.subscribe(connection, frame.channels)
        connection.say(
            Subscribed(
                id=frame.id,
                channels=granted.channels,
                rejected=[Rejected(channel=name, code=code) for name, code in granted.rejected],
            )
        )
        if granted.new:
            self._tasks.spawn(self._snapshots.show(connection, granted.new), "snapshots")

    async def _unsubscribe(self, connection: Connection, frame: Unsubscribe) -> None:
        await self._subscribing.unsubscribe(connection, frame.channels)
        connection.say(Unsubscribed(id=frame.id, channels=frame.channels))

    async def _refresh(self, connection: Connection, frame: Refresh) -> None:
        try:
            claims = await self._verifier.verify(frame.token)
        except Unverifiable:
            self._say_error(connection, frame.id, "unavailable", "tokens cannot be verified now")
            return
        except TokenError as error:
            log.warning(
                "token refused",
                extra={"reason": error.reason, "address": connection.address},
            )
            connection.close(close_code(error))
            return
        if claims.subject != connection.user:
            connection.close(CloseCode.INVALID_TOKEN)
            return
        lost = await self._shielded(self._subscribing.restrict(connection, claims), "restrict")
        if connection.closed:
            return
        if lost:
            connection.say(Unsubscribed(channels=lost))
        self._expire(connection)
        connection.say(Refreshed(id=frame.id, token_expires_in=int(_seconds_left(claims))))

    async def _command(self, connection: Connection, frame: Command) -> None:
        assert connection.claims is not None
        try:
            connection.say(await self._commands.carry_out(frame, connection.claims))
        except Forbidden:
            self._say_error(connection, frame.id, "forbidden", "not with this token")
        except NotConfirmed:
            self._say_error(
                connection, frame.id, "unavailable", "the broker did not confirm it: send it again"
            )

    def _say_error(
        self, connection: Connection, correlation: int | str | None, code: ErrorCode, message: str
    ) -> None:
        again = code == "unavailable"
        connection.say(
            Error(
                id=correlation,
                code=code,
                message=message,
                retryable=again,
                retry_after_ms=1000 if again else None,
            )
        )

    # Deadlines

    def _watch(self, connection: Connection, ping_at: float) -> None:
        """Look again when the next ping is due, or silence would have lasted too long."""
        now, attention = self._clock.now(), self._clock.attention
        silent_at = connection.last_seen + self._silence_s
        if attention.has_passed(silent_at, self._grace_s):
            connection.close(CloseCode.NO_HEARTBEAT)
            return
        if now >= ping_at:
            connection.heartbeat()
            ping_at = now + self._interval_s
        due = min(ping_at, attention.passes_at(silent_at, self._grace_s))
        connection.remember(
            "heartbeat",
            self._clock.after(max(0.0, due - now), lambda: self._watch(connection, ping_at)),
        )

    def _expire(self, connection: Connection) -> None:
        """Close when the token's time has passed and no newer one came."""
        assert connection.claims is not None
        left_s = _seconds_left(connection.claims)
        if left_s <= 0:  # taken within the leeway: the issuer's clock is behind ours
            left_s += LEEWAY_S
        connection.remember(
            "token",
            self._clock.after(
                min(left_s, DAY_S),
                lambda: (
                    self._expire(connection)
                    if left_s > DAY_S
                    else connection.close(CloseCode.TOKEN_EXPIRED)
                ),
            ),
        )


def _seconds_left(claims: Claims) -> float:
    return (claims.expires_at - datetime.now(UTC)).total_seconds()
