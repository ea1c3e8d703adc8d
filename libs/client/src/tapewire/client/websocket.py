"""The WebSocket client: what an application holds in its hand."""

import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from tapewire.client.acks import Acks
from tapewire.client.credentials import Token
from tapewire.client.dispatch import Dispatcher, InOrder
from tapewire.client.errors import NotConnected, RequestLost, RequestRefused
from tapewire.client.handlers import EVERY, Handlers
from tapewire.client.ladder import Way
from tapewire.client.link import Link, LinkSettings
from tapewire.client.listening import Listening
from tapewire.client.locations import socket_urls
from tapewire.client.memory import DedupStore, FileStore
from tapewire.client.message import Message
from tapewire.client.pacing import Backoff
from tapewire.client.running import Running
from tapewire.client.states import State, StateChange
from tapewire.client.stream import stream
from tapewire.client.subscriptions import Subscriptions
from tapewire.client.wire import Wire
from tapewire.contracts import Event, StopMode, new_id
from tapewire.contracts.frames import Accepted, Subscribed, Welcome

log = logging.getLogger(__name__)

S = TypeVar("S", bound=Callable[[StateChange], object])


class WebSocketClient(Listening):
    """A connection to the desk that comes back by itself and loses no alert.

    Handlers are called one after another, in the order in which messages came; an alert is acked
    after all of its handlers returned. Nothing is handed on before there is a handler, and an alert
    that no handler takes stays unacked.

    Args:
        url: an edge's base URL (``http://…``) or its socket's (``ws://…/ws``); of several, the next
            one is tried after each failure or loss.
        token: a JWT, or a callable (sync or async) that returns a fresh one whenever asked.
        client_id: names this program or device, and stays the same across restarts; it brings
            durable subscriptions. Made and kept by ``store`` when left out; without either, none.
        inbox: ``"own"``: critical alerts of this client's own, apart from the user's.
        channels: what to subscribe to from the start.
        store: where handled ids outlive the process: a path, or a ``DedupStore``.
        auto_ack: False leaves acks to the application (``ack``), as for alerts that a person
            confirms; restarted, it gets what is unacked again.
        max_attempts: failed tries in a row before it gives up; None: never.
        backoff, stable_s: full jitter under a ceiling that doubles, and after how long a connection
            counts as stable.
        heartbeat_grace_s: silence past the server's interval that counts as a loss.
        open_timeout_s, request_timeout_s: for a connection up to its welcome; for a reply.
        drain_s: how long ``disconnect`` lets handlers finish what has come.
        shuffle: several URLs are tried in an order of chance; False: in the order given.
        fallback: False stays with WebSocket where a proxy blocks it; else a stream or polls stand
            in for it, until one passes again.
        connect_options: further arguments of ``websockets.connect`` (``ssl``, ``proxy``, …).
    """

    def __init__(
        self,
        url: str | Sequence[str],
        token: Token,
        *,
        client_id: str | None = None,
        inbox: Literal["own"] | None = None,
        channels: Sequence[str] = (),
        store: str | Path | DedupStore | None = None,
        auto_ack: bool = True,
        max_attempts: int | None = None,
        backoff: Backoff = Backoff(),  # noqa: B008 - frozen
        stable_s: float = 5.0,
        heartbeat_grace_s: float = 10.0,
        open_timeout_s: float = 10.0,
        request_timeout_s: float = 10.0,
        drain_s: float = 5.0,
        shuffle: bool = True,
        fallback: bool = True,
        connect_options: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(store, str | Path):
            store = FileStore(store, client_id=client_id)
        self._store = store
        self._settings = LinkSettings(
            urls=socket_urls(url, shuffle=shuffle),
            token=token,
            client_id=client_id or (store.client_id if store else None),
            inbox=inbox,
            max_attempts=max_attempts,
            backoff=backoff,
            stable_s=stable_s,
            heartbeat_grace_s=heartbeat_grace_s,
            open_timeout_s=open_timeout_s,
            request_timeout_s=request_timeout_s,
            fallback=fallback,
            connect_options=dict(connect_options or {}),
        )
        handlers = Handlers()
        self._acks = Acks()
        self._dispatcher = Dispatcher(handlers, self._acks, store=store, auto_ack=auto_ack)
        super().__init__(handlers, self._dispatcher.listen)
        self._subscriptions = Subscriptions(channels)
        self._running = Running(self._make_link, self._dispatcher, self._acks, drain_s=drain_s)
        self._welcome: Welcome | None = None
        self._restored = False
        self._resume = False

    @property
    def state(self) -> State:
        """Where the client stands."""
        return self._running.state

    @property
    def client_id(self) -> str | None:
        """This program's or device's name."""
        return self._settings.client_id

    @property
    def transport(self) -> Way | None:
        """How messages travel now: ``websocket``, ``sse``, ``long-poll``; None: not at all."""
        return self._running.wire.way if self._running.wire is not None else None

    @property
    def welcome(self) -> Welcome | None:
        """What the server said when it last welcomed this client."""
        return self._welcome

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that this connection has, as the server says."""
        return self._subscriptions.current

    @property
    def rejected(self) -> Mapping[str, str]:
        """Channel → code, for those that the server refused."""
        return self._subscriptions.rejected

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
        except BaseException:
            await self.disconnect()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._running.disconnect(leaving=True)

    async def connect(self, *, wait: bool = True) -> None:
        """Connect, and stay connected until ``disconnect``. Harmless when connected already.

        Args:
            wait: return after the welcome; else at once, connecting in the background.

        Raises:
            ConnectionStopped: an edge refuses this client for good.
            GaveUp: ``max_attempts`` tries failed.
            NotConnected: ``disconnect`` was called meanwhile.
        """
        if self._store is not None and not self._restored:
            ids = await self._store.load()
            self._dispatcher.restore(ids or ())
            self._resume = ids is not None
            self._restored = True
        await self._running.connect(wait=wait)

    async def disconnect(self) -> None:
        """Take in nothing more, finish what has come (for ``drain_s``), send the acks, and close.

        Called inside a handler, or in the body of a ``messages()`` loop, it returns at once, and
        the rest is done after that.
        """
        await self._running.disconnect()

    async def reconnect(self) -> None:
        """Drop the connection, if there is one, and connect again without waiting.

        Raises:
            ClientError: as ``connect``.
        """
        await self._running.reconnect()

    async def wait_closed(self) -> None:
        """Wait until the client is closed.

        Raises:
            ClientError: it failed; this is why.
        """
        await self._running.wait_ended()

    def on_state(self, handler: S) -> S:
        """Have ``handler`` (sync) called with each ``StateChange``, as it happens."""
        self._running.state_handlers.append(handler)
        return handler

    def messages(self, *message_types: str | type[Event]) -> AsyncGenerator[Message[Any], None]:
        """Yield messages of these types, or every one; the loop's body is the handler.

        Coming back for the next message acknowledges the last; leaving the loop leaves the last
        unacked.

        Raises:
            ClientError: the client failed. When it was closed, the loop just ends.
        """
        return stream(self, self._running, message_types or (EVERY,))

    async def subscribe(self, channels: Sequence[str]) -> Subscribed:
        """Ask for channels, now and after each reconnection; snapshots follow as messages.

        Returns:
            What was given and what was rejected. Without a connection: neither, and the wish is
            kept.

        Raises:
            RequestRefused: none was given.
        """
        self._subscriptions.want(channels)
        try:
            reply = await self._request({"type": "subscribe", "channels": list(channels)})
        except (NotConnected, RequestLost):
            return Subscribed(channels=[])  # asked after the next welcome
        except RequestRefused as error:
            if not error.retryable:
                self._subscriptions.refused(channels, error.code)
            raise
        self._subscriptions.subscribed(reply)
        return Subscribed.model_validate(reply)

    async def unsubscribe(self, channels: Sequence[str]) -> None:
        """Give channels up, for good: a named client's subscriptions outlive its connection.

        Raises:
            RequestRefused: the server could not.
        """
        self._subscriptions.give_up(channels)
        with suppress(NotConnected, RequestLost):  # done after the next welcome
            await self._request({"type": "unsubscribe", "channels": list(channels)})
            self._subscriptions.unsubscribed(channels)

    async def ack(self, *message_ids: str) -> None:
        """Acknowledge messages that the application has dealt with (``auto_ack=False``)."""
        await self._dispatcher.ack(message_ids)

    async def send_command(
        self,
        command: Literal["emergency_stop"],
        *,
        session_id: str,
        user_id: str | None = None,
        mode: StopMode = "halt",
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Ask the desk to do something; returns once the broker has it.

        Args:
            command: ``emergency_stop`` stops a session.
            session_id: which.
            user_id: whose; the token's own user when left out.
            mode: how to stop.
            reason: for the record.
            idempotency_key: the same key is one command, however often it is sent. Made when left
                out; give one to be able to repeat after ``RequestLost``.

        Raises:
            NotConnected: commands are not queued.
            RequestRefused: the server did not take it.
            RequestLost: it may or may not have been taken.
        """
        key = idempotency_key or new_id()
        frame = {
            "type": "command",
            "command": command,
            "sessionId": session_id,
            "userId": user_id,
            "mode": mode,
            "reason": reason,
            "idempotencyKey": key,
        }
        reply = await self._request({k: v for k, v in frame.items() if v is not None})
        return Accepted.model_validate({"idempotencyKey": key, **reply})

    async def _request(self, frame: Mapping[str, object]) -> dict[str, Any]:
        wire = self._running.wire
        if wire is None:
            raise NotConnected(f"{frame['type']}: not connected")
        with self._dispatcher.flowing():
            return await wire.request(frame, timeout_s=self._settings.request_timeout_s)

    def _make_link(self, move: Callable[..., None]) -> Link:
        return Link(
            self._settings,
            dispatcher=self._dispatcher,
            acks=self._acks,
            subscriptions=self._subscriptions,
            move=move,
            on_welcome=self._take_welcome,
            resume=self._resume,
        )

    async def _take_welcome(self, wire: Wire) -> None:
        self._welcome = wire.welcome
        self._resume = True
        recovered = wire.welcome.recovered
        if recovered.gap:
            log.warning("messages were missed for good; recovered: %s", recovered)
            for handler in self._gap_handlers:
                self._dispatcher.push(InOrder(handler, recovered))
        await self._dispatcher.remember(())  # from now on this client was here before
