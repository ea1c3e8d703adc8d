"""Consuming a queue in order, each delivery settled when its handler has said so."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any, NamedTuple, Protocol, TypeAlias

from aiormq import spec
from aiormq.abc import DeliveredMessage

from tapewire.broker.backoff import full_jitter
from tapewire.broker.cancelling import cancelled
from tapewire.broker.declare import declare
from tapewire.broker.delivery import Delivery, Settlement
from tapewire.broker.errors import BrokerError
from tapewire.broker.figures import HANDLE_DURATION, REDELIVERED
from tapewire.broker.link import CONNECTION_ERRORS, Link, close_channel, when_closed
from tapewire.broker.tap import Tap
from tapewire.broker.topology import Queue, Thing

log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[Delivery], Awaitable[Settlement]]

RETRY_BASE_S = 0.2
RETRY_CAP_S = 5.0

ACK_PACE_S = 0.05  # an ack is a command in a quorum queue's log, for one delivery as for many


class Consumer:
    """Consumes one queue for as long as it runs, over any number of connections.

    Handlers start in delivery order, up to ``concurrency`` at once; settlements happen in delivery
    order, acknowledgements of what is done together, at most `ACK_PACE_S` later. So when a handler
    fails, no other is started and nothing behind it is settled: the AMQP channel is closed, the
    broker requeues all of it in place, and it comes again after a back-off.
    A handler must therefore bear to see a delivery twice.

    An exception that carries ``settlement`` settles its delivery so; any other one means
    ``REQUEUE``.

    Args:
        link: a connection of role ``consume``.
        queue: declared (with ``also``) each time before it is consumed.
        handler: returns a settlement once all that follows from the delivery is safe elsewhere.
        prefetch: deliveries in flight; bounds what comes again after a crash.
        concurrency: handlers at once, at most ``prefetch``.
        also: what must exist besides the queue, such as the exchanges it is bound to.
        consumer_arguments: such as ``x-priority``.
    """

    def __init__(
        self,
        link: Link,
        queue: Queue,
        handler: Handler,
        *,
        prefetch: int,
        concurrency: int = 1,
        also: tuple[Thing, ...] = (),
        consumer_arguments: dict[str, Any] | None = None,
    ) -> None:
        self.name = queue.name
        self._link = link
        self._queue = queue
        self._handler = handler
        self._prefetch = prefetch
        self._concurrency = min(concurrency, prefetch)
        self._also = also
        self._arguments = consumer_arguments
        self._reason: str | None = "not started"
        self._task: asyncio.Task[None] | None = None
        self._draining = asyncio.Event()

    async def start(self) -> None:
        """Begin to consume, and keep at it until ``drain`` or ``stop``."""
        self._draining.clear()
        self._task = asyncio.create_task(self._keep(), name=f"consumer {self.name}")

    async def drain(self) -> None:
        """Take no more, finish and settle what has begun; the rest goes back in order."""
        self._draining.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Stop at once; what is not settled goes back."""
        task, self._task = self._task, None
        await cancelled(task)
        self._reason = "stopped"

    def health(self) -> str | None:
        """Return None while consuming, else the reason."""
        return self._reason

    def _new_session(self) -> "Session":
        return _Session(
            *(self.name, self._handler, self._prefetch, self._concurrency, self._draining)
        )

    async def _keep(self) -> None:
        waits = full_jitter(RETRY_BASE_S, RETRY_CAP_S)
        while not self._draining.is_set():
            self._reason = self._link.health() or "starting"
            session = self._new_session()
            try:
                await self._until_connected_or_draining()
                if self._draining.is_set():
                    break
                await declare(self._link, self._also)
                await declare(self._link, (self._queue,))
                tap = await self._link.tap()
                try:
                    await tap.ask(spec.Basic.Qos(prefetch_count=self._prefetch))
                    self._reason = None
                    await session.run(tap, self._arguments)
                finally:
                    await close_channel(tap.channel)
            except (*CONNECTION_ERRORS, BrokerError) as error:
                self._reason = f"{self.name}: {error or type(error).__name__}"
                log.warning("consumer %s: %s", self.name, error or type(error).__name__)
            except Exception as error:  # a keeper that ends would leave its queue to nobody
                self._reason = f"{self.name}: {type(error).__name__}"
                log.exception("consumer %s", self.name)
            if session.settled:
                waits = full_jitter(RETRY_BASE_S, RETRY_CAP_S)
            if not self._draining.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(next(waits)):
                        await self._draining.wait()
        self._reason = "drained"

    async def _until_connected_or_draining(self) -> None:
        async with asyncio.TaskGroup() as group:
            waiting = [
                group.create_task(self._link.connected()),
                group.create_task(self._draining.wait()),
            ]
            _, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()


class Session(Protocol):
    """One consumption over one AMQP channel: from ``basic.consume`` until it ends."""

    settled: int
    """How many deliveries it settled."""

    async def run(self, tap: Tap, arguments: dict[str, Any] | None) -> None:
        """Consume until drained, or until the channel or a handler fails."""
        ...


class _Begun(NamedTuple):
    """A delivery in its handler's hands, since ``at`` (monotonic seconds)."""

    delivery: Delivery
    task: asyncio.Task[Settlement]
    at: float


class _Session:
    """A handler for each delivery."""

    def __init__(
        self,
        queue: str,
        handler: Handler,
        prefetch: int,
        concurrency: int,
        draining: asyncio.Event,
    ) -> None:
        self._queue = queue
        self._handler = handler
        self._ack_at = max(1, prefetch // 4)  # deliveries: the broker must not run out of room
        self._draining = draining
        self._arrived: asyncio.Queue[Delivery | None] = asyncio.Queue()
        self._begun: asyncio.Queue[_Begun | None] = asyncio.Queue()
        self._slots = asyncio.Semaphore(concurrency)
        self._acked = 0  # the newest delivery that is done, and not acknowledged yet
        self._unacked = 0  # how many are
        self._failed = False
        self.settled = 0

    async def run(self, tap: Tap, arguments: dict[str, Any] | None) -> None:
        """Consume until drained, or until the channel or a handler fails."""
        when_closed(tap.channel, lambda: self._arrived.put_nowait(None))
        await tap.consume(self._queue, self._arrive, tag=self._queue, arguments=arguments)
        drain = asyncio.create_task(self._end_on_drain())
        begin = asyncio.create_task(self._begin())
        try:
            await self._settle(tap)
        finally:
            self._ack(tap)
            drain.cancel()
            begin.cancel()
            await asyncio.wait([begin])
            self._abandon()

    def _arrive(self, message: DeliveredMessage) -> None:
        delivery = Delivery.of(message)
        if delivery.redelivered:
            REDELIVERED.add(1, {"queue": self._queue})
        self._arrived.put_nowait(delivery)

    async def _end_on_drain(self) -> None:
        await self._draining.wait()
        self._arrived.put_nowait(None)

    async def _begin(self) -> None:
        while (delivery := await self._arrived.get()) is not None and not self._draining.is_set():
            await self._slots.acquire()
            task = asyncio.create_task(self._handle(delivery))
            task.add_done_callback(lambda _: self._slots.release())
            self._begun.put_nowait(_Begun(delivery, task, monotonic()))
        self._begun.put_nowait(None)

    async def _handle(self, delivery: Delivery) -> Settlement:
        if self._failed:  # it comes again, behind what failed: it must not get ahead of it
            return Settlement.REQUEUE
        settlement = await self._try(delivery)
        self._failed = self._failed or settlement is Settlement.REQUEUE
        return settlement

    async def _try(self, delivery: Delivery) -> Settlement:
        try:
            return await self._handler(delivery)
        except Exception as error:
            settlement = getattr(error, "settlement", None)
            if isinstance(settlement, Settlement):
                log.warning("%s %s: %s", delivery.type, delivery.message_id, error)
                return settlement
            log.exception("%s %s: handler failed", delivery.type, delivery.message_id)
            return Settlement.REQUEUE

    async def _settle(self, tap: Tap) -> None:
        while (begun := await self._begun.get()) is not None:
            settlement = await begun.task
            HANDLE_DURATION.record(
                monotonic() - begun.at, {"queue": self._queue, "outcome": settlement.value}
            )
            match settlement:
                case Settlement.ACK:
                    self._unacked += 1
                    if self._unacked == self._ack_at:
                        asyncio.get_running_loop().call_soon(self._ack, tap)
                    elif self._unacked == 1:
                        asyncio.get_running_loop().call_later(ACK_PACE_S, self._ack, tap)
                    self._acked = begun.delivery.tag
                case Settlement.DEAD_LETTER:
                    self._ack(tap)
                    tap.send((spec.Basic.Reject(begun.delivery.tag, requeue=False),))
                case Settlement.REQUEUE:
                    return
            self.settled += 1

    def _ack(self, tap: Tap) -> None:
        """Acknowledge all that was done since the last time: whatever is before it is settled."""
        if self._acked:
            tap.ack(self._acked, multiple=True)
            self._acked = self._unacked = 0

    def _abandon(self) -> None:
        while not self._begun.empty():
            if (begun := self._begun.get_nowait()) is not None:
                begun.task.cancel()
