"""The publisher: events in, confirmed ids out."""

import asyncio
from collections.abc import Mapping
from typing import Any, Self

from tapewire.client.credentials import Token
from tapewire.client.emitters import DeskEmitters
from tapewire.client.errors import NotConfirmed
from tapewire.client.session_emitters import SessionEmitters
from tapewire.client.transports import AmqpTransport, HttpTransport, Transport, TryAgain, jitter_s
from tapewire.contracts import Event, parse_event


class EventPublisher(DeskEmitters):
    """Publishes events, and says of each whether the broker has it.

    ::

        async with EventPublisher("amqp://…") as publisher:
            session = publisher.session("s-17", user="alice")
            await session.emit_trade_executed("SPY", "buy", quantity=10, price="512.31")

    Every ``emit_…`` returns the event's id once the broker has confirmed it. An attempt that fails
    is repeated with the same id, which is taken once, until the deadline.

    Raised by every ``emit_…`` and by ``publish``:
        InvalidEvent: names each wrong field; nothing was sent (over HTTP: or the ingest says so).
        NotConfirmed: no confirm by the deadline. The event may have been taken all the same;
            ``publish(error.event)`` tries again without taking it twice.
        NotPermitted: the ingest refuses the token.

    Args:
        url: ``amqp://…`` of the broker (several, comma-separated, are tried in turn), or the
            ingest's base URL ``http://…``.
        token: for HTTP: a JWT with ``events:write``, or a callable that returns one.
        deadline_s: for one event, with all its attempts.
        name: of the AMQP connection, as the broker shows it.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        deadline_s: float = 5.0,
        name: str = "publisher",
    ) -> None:
        self._transport = _transport(url, token, name)
        self._deadline_s = deadline_s

    async def __aenter__(self) -> Self:
        await self._transport.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()

    def session(self, session_id: str, *, user: str) -> SessionEmitters:
        """Return the emitters of one session of one user."""
        return SessionEmitters(self.publish, session_id=session_id, user=user)

    async def publish(
        self, event: Event | Mapping[str, Any], *, deadline_s: float | None = None
    ) -> str:
        """Publish one event: a contracts model, or the wire's JSON object. Returns its id."""
        if not isinstance(event, Event):
            event = parse_event(event)
        loop = asyncio.get_running_loop()
        until = loop.time() + (self._deadline_s if deadline_s is None else deadline_s)
        tries, reason = 0, ""
        while True:
            try:
                await self._transport.send(event, timeout_s=max(until - loop.time(), 0.001))
                return event.id
            except TryAgain as error:
                reason = reason if reason and error.cut_short else str(error)
                wait_s = max(error.after_s, jitter_s(tries))
            tries += 1
            if loop.time() + wait_s >= until:
                raise NotConfirmed(event, reason)
            await asyncio.sleep(wait_s)


def _transport(url: str, token: Token | None, name: str) -> Transport:
    scheme = url.split("://", 1)[0]
    if scheme in {"amqp", "amqps"}:
        return AmqpTransport(url, name=name)
    if scheme in {"http", "https"}:
        if token is None:
            raise ValueError("publishing over HTTP needs a token")
        return HttpTransport(url, token)
    raise ValueError(f"neither amqp(s) nor http(s): {url!r}")
