"""Reads what was revoked from the broker's log, from its beginning and for as long as it runs."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from aiormq import spec
from aiormq.abc import DeliveredMessage
from pydantic import ValidationError

from tapewire.auth.claims import Claims
from tapewire.auth.errors import InvalidToken, RevocationsUnknown, RevokedToken
from tapewire.auth.revocations import Revocations
from tapewire.broker import (
    CONNECTION_ERRORS,
    BrokerError,
    Link,
    NotConnected,
    Tap,
    cancelled,
    declare,
    full_jitter,
    topology,
)
from tapewire.broker.link import when_closed
from tapewire.contracts import TokenRevocation
from tapewire.service import metrics

log = logging.getLogger(__name__)

PREFETCH: Final = 512  # a stream wants a bound; a round trip for as many is nothing
WAIT_S: Final = 2.0  # for the log of a process that has just started; it is read in milliseconds
# The broker counts a log every five seconds. So long after the last of what it counted, or after it
# was asked for an empty one, whatever came since has arrived.
QUIET_S: Final = 0.2
STALLED_S: Final = 5.0  # then it is read anew: what was counted may be gone for its age


class Revoking:
    """Component: knows what was revoked, and tells who would like to hear of more.

    Until the log was read once, nothing can be said of any token. Afterwards it is what was last
    known: while the broker is away, nobody hears of more.

    Args:
        link: a connection of role ``consume``.
        clock: the time.
    """

    name = "revocations"

    def __init__(
        self, link: Link, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._link = link
        self._clock = clock
        self._known = Revocations()
        self._complete = asyncio.Event()
        self._reason = "not read yet"
        self._task: asyncio.Task[None] | None = None
        self.on_news: list[Callable[[], object]] = []
        """Called after each revocation that is new to this process."""

    async def check(self, claims: Claims) -> None:
        """Return if the token of these claims was not revoked.

        Raises:
            RevokedToken, InvalidToken: it was.
            RevocationsUnknown: the log could not be read since this process started.
        """
        if not self._complete.is_set():
            try:
                async with asyncio.timeout(WAIT_S):
                    await self._complete.wait()
            except TimeoutError:
                raise RevocationsUnknown from None
        if (refusal := self._known.refusal(claims)) is not None:
            raise refusal

    def refusal(self, claims: Claims) -> RevokedToken | InvalidToken | None:
        """Return why a token that was taken before is not good any more; None: it is."""
        return self._known.refusal(claims)

    def listed(self) -> list[TokenRevocation]:
        """Return what is known and concerns tokens that have not expired, the newest first."""
        return self._known.listed(self._clock())

    # Component

    async def start(self) -> None:
        """Begin to read."""
        self._stop_observing = metrics.observe(metrics.REVOCATIONS, lambda: len(self._known))
        self._task = asyncio.create_task(self._keep(), name="revocations")

    async def drain(self) -> None:
        """Nothing to finish: what is revoked while a service drains is revoked for it too."""

    async def stop(self) -> None:
        """Stop reading. What is known stays."""
        task, self._task = self._task, None
        await cancelled(task)
        self._stop_observing()

    def health(self) -> str | None:
        """Return None once the log was read, else the reason."""
        return None if self._complete.is_set() else self._reason

    async def _keep(self) -> None:
        waits = full_jitter(0.1, 5.0)
        while True:
            try:
                await self._link.connected()
                await self._read()
                waits = full_jitter(0.1, 5.0)
            except (*CONNECTION_ERRORS, BrokerError) as error:
                self._reason = str(error) or type(error).__name__
                log.warning("revocations: %s", self._reason)
            except Exception as error:  # who stops reading would never hear of another
                self._reason = type(error).__name__
                log.exception("revocations")
            await asyncio.sleep(next(waits))

    async def _read(self) -> None:
        """Read the log from its beginning until the AMQP channel is closed."""
        queue = topology.REVOCATIONS
        await declare(self._link, (queue,))
        tap = await self._link.tap()
        try:
            counted = await tap.ask(spec.Queue.Declare(queue=queue.name, passive=True))
            reading = _Reading(tap, int(counted.message_count), self._take)
            await tap.ask(spec.Basic.Qos(prefetch_count=PREFETCH))
            await tap.consume(
                queue.name,
                reading.on_delivery,
                tag=queue.name,
                arguments={"x-stream-offset": "first"},
            )
            ended = asyncio.Event()
            when_closed(tap.channel, ended.set)
            if not await reading.to_the_end(ended):
                raise NotConnected("the log broke off")
            if not self._complete.is_set():
                log.info("revocations read: %d", len(self._known))
                self._complete.set()
            await ended.wait()
        finally:
            tap.abandon()

    def _take(self, body: bytes) -> None:
        try:
            said = TokenRevocation.model_validate_json(body)
        except ValidationError as error:  # a stream has no dead letters: it comes at every start
            log.error("a revocation cannot be read: %s", error)
            return
        if self._known.add(said, now=self._clock()):
            for call in self.on_news:
                call()


class _Reading:
    """One reading of the log over one AMQP channel."""

    def __init__(self, tap: Tap, count: int, take: Callable[[bytes], None]) -> None:
        self._tap = tap
        self._left = count
        self._take = take
        self._come = asyncio.Event()

    def on_delivery(self, message: DeliveredMessage) -> None:
        """Take one entry, and let the broker send another."""
        self._left -= 1
        self._come.set()
        try:
            self._take(message.body)
        finally:
            self._tap.ack(message.delivery_tag or 0)

    async def to_the_end(self, ended: asyncio.Event) -> bool:
        """Return once what was there at the beginning has been taken; False: it was not."""
        while not ended.is_set():
            self._come.clear()
            try:
                async with asyncio.timeout(STALLED_S if self._left > 0 else QUIET_S):
                    await self._come.wait()
            except TimeoutError:
                return self._left <= 0 and not ended.is_set()
        return False
