"""Keeping a client connected: tries, welcomes, losses, and the wait between them."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

from tapewire.client.acks import Acks
from tapewire.client.credentials import Token, fetch
from tapewire.client.dispatch import Dispatcher
from tapewire.client.endings import Ending, ending_of
from tapewire.client.errors import ClientError, GaveUp, RequestLost, RequestRefused
from tapewire.client.ladder import FIRST_LOOK_S, LOOK_EVERY_S, Ladder
from tapewire.client.message import to_message
from tapewire.client.pacing import Backoff, refresh_after_s
from tapewire.client.states import Trigger
from tapewire.client.subscriptions import Subscriptions
from tapewire.client.wire import Wire, answers

log = logging.getLogger(__name__)

RETRY_S = 1.0  # least wait between two tries to renew a token or to get channels


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """How a client keeps its connection; the defaults are the protocol's."""

    urls: Sequence[str]
    token: Token = field(repr=False)
    client_id: str | None = None
    inbox: str | None = None
    max_attempts: int | None = None
    backoff: Backoff = field(default_factory=Backoff)
    random: Callable[[], float] = random.random
    stable_s: float = 5.0
    heartbeat_grace_s: float = 10.0
    open_timeout_s: float = 10.0
    request_timeout_s: float = 10.0
    fallback: bool = True
    connect_options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    async def fetch_token(self) -> str:
        """Return the token to use now."""
        async with asyncio.timeout(self.open_timeout_s):
            return await fetch(self.token)

    def query(self, *, resume: bool) -> dict[str, str]:
        """Return the opening fields that go into the URL."""
        fields = {"clientId": self.client_id, "inbox": self.inbox}
        fields["resume"] = "true" if resume else None
        return {name: value for name, value in fields.items() if value is not None}


class Link:
    """The task that connects, reads, and connects again, until told to stop or nothing helps.

    Args:
        settings: frozen.
        move: tells the client of a transition: trigger, then ``StateChange``'s fields.
        on_welcome: awaited after each welcome, before anything of that connection is read.
        resume: whether this client was welcomed before.
    """

    def __init__(
        self,
        settings: LinkSettings,
        *,
        dispatcher: Dispatcher,
        acks: Acks,
        subscriptions: Subscriptions,
        move: Callable[..., None],
        on_welcome: Callable[[Wire], Awaitable[None]],
        resume: bool,
    ) -> None:
        self.wire: Wire | None = None
        self._settings = settings
        self._dispatcher = dispatcher
        self._acks = acks
        self._subscriptions = subscriptions
        self._move = move
        self._on_welcome = on_welcome
        self._resume = resume
        self._ladder = Ladder(climbs=settings.fallback)
        self._reader: asyncio.Task[None] | None = None
        self._at_once = asyncio.Event()
        self._closing = False
        self._tries = 0  # failed ones since the last welcome
        self._losses = 0  # since the connection was last stable

    async def run(self) -> ClientError | None:
        """Keep connected; return why it is over for good, or None after ``stop_reading``."""
        turn = 0
        while True:
            url = self._settings.urls[turn % len(self._settings.urls)]
            ending, window_s = await self._attempt(url)
            if self._closing:
                return None
            if ending.stop is not None:
                return ending.stop
            limit = self._settings.max_attempts
            if limit is not None and self._tries >= limit:
                return GaveUp(self._tries, ending.reason)
            await self._pause(ending, window_s)
            turn += 1

    def hurry(self) -> None:
        """Reconnect now: drop the connection if there is one, and skip the wait if there is not."""
        self._at_once.set()
        if self.wire is not None:
            self.wire.cut()

    def stop_reading(self) -> None:
        """Take in nothing more; the connection stays open for acks."""
        self._closing = True
        if self._reader is not None:
            self._reader.cancel()

    async def _attempt(self, url: str) -> tuple[Ending, float | None]:
        """Connect once and stay while it lasts. Returns how it ended, and the drain window."""
        settings = self._settings
        loop = asyncio.get_running_loop()
        renewable = not isinstance(settings.token, str)
        try:
            wire = await Wire.open(
                url,
                way=self._ladder.way,
                token=await settings.fetch_token(),
                query=settings.query(resume=self._resume),
                timeout_s=settings.open_timeout_s,
                options=settings.connect_options,
            )
        except Exception as error:  # whatever it was, the ending says whether to come back
            self._tries += 1
            ending = ending_of(error, renewable_token=renewable)
            return self._ladder.failed(error, ending), None
        since = loop.time()
        self._tries = 0
        self._ladder.opened()
        self._resume = True
        self.wire = wire
        self._at_once.clear()
        try:
            ending = await self._stay(wire, url, renewable=renewable)
        finally:
            self.wire = None
            wire.cut()
        if loop.time() - since >= settings.stable_s:
            self._losses = 0
        return ending, wire.drain_window_s

    async def _stay(self, wire: Wire, url: str, *, renewable: bool) -> Ending:
        settings = self._settings
        deadline_s = wire.welcome.heartbeat_interval + settings.heartbeat_grace_s
        given_up = self._subscriptions.welcomed(wire.welcome.channels)
        await self._on_welcome(wire)
        self._move(Trigger.WELCOME)
        limit = wire.welcome.limits.messages_per_second
        self._reader = asyncio.create_task(self._read(wire))
        beside = [
            asyncio.create_task(self._acks.send_all(wire.send, messages_per_second=limit)),
            asyncio.create_task(wire.watch(deadline_s)),
            asyncio.create_task(self._ask_for_channels(wire, given_up)),
        ]
        if renewable:
            beside.append(asyncio.create_task(self._renew_token(wire)))
        if wire.way != "websocket":
            beside.append(asyncio.create_task(self._look_for_websocket(url)))
        try:
            await asyncio.wait({self._reader})
            if self._reader.cancelled():
                await asyncio.Event().wait()  # acks still go out; the client cancels this task
            error = self._reader.exception() or ConnectionError("closed")
        finally:
            for task in (self._reader, *beside):
                task.cancel()
            await asyncio.gather(self._reader, *beside, return_exceptions=True)
        if self._at_once.is_set():
            return Ending("asked to reconnect")
        if wire.silent:
            return Ending(f"nothing heard for {deadline_s:g} s")
        return ending_of(error, renewable_token=renewable)

    async def _look_for_websocket(self, url: str) -> None:
        """Go back to WebSocket as soon as one passes."""
        settings = self._settings
        wait_s = FIRST_LOOK_S
        while True:
            await asyncio.sleep(wait_s)
            wait_s = LOOK_EVERY_S
            timeout_s = settings.open_timeout_s
            if await answers(url, timeout_s=timeout_s, options=settings.connect_options):
                log.info("a WebSocket passes again")
                self._ladder.back()
                self.hurry()
                return

    async def _read(self, wire: Wire) -> None:
        async with aclosing(wire.messages()) as messages:
            async for raw in messages:
                await self._dispatcher.put(to_message(raw))

    async def _pause(self, ending: Ending, window_s: float | None) -> None:
        if self._at_once.is_set():
            delay_s = 0.0
        elif window_s is not None:
            delay_s = self._settings.random() * window_s
        else:
            delay_s = self._settings.backoff.delay_s(self._losses, self._settings.random)
            self._losses += 1
        self._move(
            Trigger.LOSE,
            reason=ending.reason,
            code=ending.code,
            attempt=self._tries,
            retry_in_s=delay_s,
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._at_once.wait()
        self._at_once.clear()

    async def _renew_token(self, wire: Wire) -> None:
        loop = asyncio.get_running_loop()
        expires_at = loop.time() + wire.welcome.token_expires_in
        wait_s = refresh_after_s(wire.welcome.token_expires_in)
        while True:
            await asyncio.sleep(wait_s)
            try:
                frame = {"type": "refresh", "token": await self._settings.fetch_token()}
                reply = await wire.request(frame, timeout_s=self._settings.request_timeout_s)
                left_s = float(reply["tokenExpiresIn"])
                expires_at = loop.time() + left_s
                wait_s = max(RETRY_S, refresh_after_s(left_s))
            except Exception as error:  # its own or the callback's: there is time for another try
                log.warning("the token could not be renewed: %s", error)
                wait_s = max(RETRY_S, refresh_after_s(expires_at - loop.time()))

    async def _ask_for_channels(self, wire: Wire, given_up: Sequence[str]) -> None:
        """Bring the server's list in line with the wishes."""
        timeout_s = self._settings.request_timeout_s
        if given_up:
            frame = {"type": "unsubscribe", "channels": list(given_up)}
            with suppress(RequestLost, RequestRefused):
                reply = await wire.request(frame, timeout_s=timeout_s)
                self._subscriptions.unsubscribed(reply["channels"])
        while channels := self._subscriptions.wanted:
            frame = {"type": "subscribe", "channels": list(channels)}
            try:
                reply = await wire.request(frame, timeout_s=timeout_s)
            except RequestRefused as error:
                if not error.retryable:
                    log.warning("no channel was given: %s", error)
                    return
                await asyncio.sleep(max(RETRY_S, error.retry_after_s or 0.0))
                continue
            except RequestLost:
                return
            self._subscriptions.subscribed(reply)
            for refusal in reply.get("rejected", ()):
                log.warning("channel %s was not given: %s", refusal["channel"], refusal["code"])
            return
