"""The queue of this edge process: live copies, relays and control for everyone connected here.

It is exclusive and not acknowledged, and dies with the AMQP connection; what is bound to it follows
connections and subscriptions, counted. When the connection comes back, a new queue is declared and
every binding that is wanted then is made anew.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final
from zlib import crc32

from aiormq import spec
from aiormq.exceptions import ChannelInvalidStateError

from tapewire.broker import (
    CONNECTION_ERRORS,
    BrokerError,
    Link,
    OnDelivery,
    Question,
    Tap,
    full_jitter,
    header,
    topology,
)
from tapewire.broker.topology import Binding
from tapewire.edge.runtime.admin import answers, bind, unbind
from tapewire.edge.runtime.flag import Flag
from tapewire.edge.runtime.tasks import Tasks

log = logging.getLogger(__name__)

BINDERS: Final = 8  # AMQP channels: each is a process of the broker's, and binding is work for it


class _Wanted:
    """A binding that is wanted, by how many, and whether it stands."""

    __slots__ = ("bound", "count")

    def __init__(self) -> None:
        self.count = 0
        self.bound = Flag()


class Node:
    """Component: the edge's own queue.

    Args:
        link: a connection of role ``consume``. Exclusive queues are bound on their own connection,
            on AMQP channels apart from the one that consumes.
        name: of this edge; the queue's name adds a number for each time that it was declared,
            since the broker may not have noticed yet that the last one's connection is gone.
        on_message: called in order for each message.
        always: what it is bound to, whoever is connected.
    """

    name = "edge queue"

    def __init__(
        self,
        link: Link,
        node: str,
        tasks: Tasks,
        on_message: OnDelivery,
        always: tuple[Binding, ...] = (),
    ) -> None:
        self._link = link
        self._node = node
        self._tasks = tasks
        self._on_message = on_message
        self._always = always
        self._wanted: dict[Binding, _Wanted] = {}
        self._queue = ""
        self._times = 0
        self._binders: list[Tap] = []
        self._keeper: asyncio.Task[None] | None = None
        self.up = asyncio.Event()
        self.on_up: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Begin to keep the queue."""
        self._keeper = asyncio.create_task(self._keep(), name="edge queue")

    async def drain(self) -> None:
        """Nothing to finish: relays and acks are needed while mailboxes drain."""

    async def stop(self) -> None:
        """Stop keeping it; it goes with the connection."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    def health(self) -> str | None:
        """Return None while the queue is consumed and every binding of the start stands."""
        return None if self.up.is_set() else "not declared"

    @property
    def queue(self) -> str:
        """The name of the queue; empty before the first."""
        return self._queue

    async def bind(self, bindings: Iterable[Binding]) -> None:
        """Want ``bindings``, once more each, and return when they stand."""
        waits: list[Flag] = []
        new: list[Binding] = []
        for binding in bindings:
            wanted = self._wanted.setdefault(binding, _Wanted())
            wanted.count += 1
            if wanted.count == 1:
                new.append(binding)
            if not wanted.bound.is_set():
                waits.append(wanted.bound)
        self._make(new)
        for bound in waits:
            await bound.wait()

    def unbind(self, bindings: Iterable[Binding]) -> None:
        """Want ``bindings`` once less; what nobody wants is unbound."""
        for binding in bindings:
            wanted = self._wanted.get(binding)
            if wanted is None:
                continue
            wanted.count -= 1
            if wanted.count == 0:
                del self._wanted[binding]
                self._ask(binding, unbind(self._queue, binding))

    def _make(self, bindings: Iterable[Binding]) -> list[asyncio.Future[Any]]:
        """Ask for ``bindings``; return the answers to come. Without a queue there are none."""
        made: list[asyncio.Future[Any]] = []
        for binding in bindings:
            answer = self._ask(binding, bind(self._queue, binding))
            if answer is not None:
                answer.add_done_callback(partial(self._made, binding, self._times))
                made.append(answer)
        return made

    def _made(self, binding: Binding, times: int, answer: asyncio.Future[Any]) -> None:
        if answer.cancelled() or answer.exception() is not None:
            return  # made anew when the queue is
        if times == self._times and (wanted := self._wanted.get(binding)) is not None:
            wanted.bound.set()

    def _ask(self, binding: Binding, question: Question) -> asyncio.Future[Any] | None:
        """Ask on the AMQP channel on which a binding's bind and unbind keep their order."""
        if not self._binders:
            return None
        tap = self._binders[crc32(binding.routing_key.encode()) % len(self._binders)]
        try:
            return tap.ask(question)
        except ChannelInvalidStateError:
            return None  # the queue goes with it, and is declared anew

    async def _keep(self) -> None:
        waits = full_jitter(0.1, 2.0)
        while True:
            await self._link.connected()
            taps: list[Tap] = []
            try:
                await self._declare(taps)
                waits = full_jitter(0.1, 2.0)
                await asyncio.wait(
                    [tap.channel.closing for tap in taps],
                    return_when=asyncio.FIRST_COMPLETED,
                )
                log.warning("edge queue lost")
            except (*CONNECTION_ERRORS, BrokerError) as error:
                log.warning("edge queue: %s", error)
            except Exception:  # a keeper that ends would leave the edge deaf
                log.exception("edge queue")
            finally:
                self.up.clear()
                self._binders = []
                self._times += 1
                for wanted in self._wanted.values():
                    wanted.bound.clear()
            for tap in taps:  # one may have been refused while the connection stands
                if not tap.channel.is_closed:
                    self._tasks.spawn(_close(tap), "close channel")
            await asyncio.sleep(next(waits))

    async def _declare(self, taps: list[Tap]) -> None:
        if self._queue:  # refused an operation on a connection that stands: it is still there
            self._tasks.spawn(self._delete(self._queue), "delete edge queue")
        queue = topology.edge(f"{self._node}.{self._times}")
        consuming = await self._link.tap()
        taps.append(consuming)
        await consuming.ask(
            spec.Queue.Declare(
                queue=queue.name,
                durable=queue.durable,
                exclusive=queue.exclusive,
                arguments=dict(queue.arguments),
            )
        )
        await answers(consuming, [bind(queue.name, binding) for binding in self._always])
        await consuming.consume(
            queue.name,
            self._on_message,
            tag=queue.name,
            no_ack=True,
            deaf_to=header("node", self._node),  # what this edge says to the others
        )
        for _ in range(BINDERS):
            taps.append(await self._link.tap())
        self._queue = queue.name
        self._binders = taps[1:]
        wanted = list(self._wanted)
        for answer in self._make(wanted):
            await answer
        self.up.set()
        log.info("edge queue %s: %d bindings", queue.name, len(wanted))
        for callback in self.on_up:
            callback()

    async def _delete(self, queue: str) -> None:
        try:
            channel = await self._link.channel()
            await channel.queue_delete(queue)  # no error where there is none
            await channel.close()
        except (*CONNECTION_ERRORS, BrokerError) as error:
            log.debug("old edge queue: %s", error)


async def _close(tap: Tap) -> None:
    try:
        await tap.channel.close()
    except CONNECTION_ERRORS as error:
        log.debug("close: %s", error)
