"""AMQP channels for declaring, binding and looking, a few at a time.

Each is lent to one task at a time: a refusal closes the channel that asked (rule 5 of
``delivery.md``), and must not take another user's question with it. How many there are is how many
users are attached at once after a restart. Each question has a deadline: in a cluster the node that
has a queue may be gone, and nobody know it yet.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from aiormq import spec
from aiormq.exceptions import AMQPError, ChannelNotFoundEntity

from tapewire.broker import BrokerError, Link, Question, Stencil, Tap
from tapewire.broker.topology import Binding, Queue

DEADLINE_S: Final = 4.0  # for one loan: a declaration takes milliseconds, an election a second

_LOOK: Final = Stencil(spec.Queue.Declare(queue="queue", passive=True), "queue")
_BIND: Final = Stencil(
    spec.Queue.Bind(queue="queue", exchange="exchange", routing_key="key"),
    *("queue", "exchange", "key"),
)


class OutOfReach(BrokerError):
    """The queue exists, on a node of the cluster that is down: it cannot be had elsewhere."""


class Found(NamedTuple):
    """What a look at a queue tells."""

    messages: int
    consumers: int
    was_absent: bool = False

    @property
    def is_blank(self) -> bool:
        """Whether nothing is in it and nobody consumes it, or nobody knows.

        RabbitMQ says so, too, of a quorum queue whose leader does not answer it within 250 ms
        (3.10 to 4.x; ``rabbit_quorum_queue:stat``).
        """
        return self.messages == 0 and self.consumers == 0


class Admin:
    """A pool of AMQP channels on a link of role ``topology``.

    Args:
        link: of that role.
        size: how many are lent at once.
        deadline_s: for each loan, waiting for the connection included; then `TimeoutError`.
    """

    def __init__(self, link: Link, size: int, *, deadline_s: float = DEADLINE_S) -> None:
        self._link = link
        self._deadline_s = deadline_s
        self._idle: list[Tap] = []
        self._free = asyncio.Semaphore(size)

    @property
    def is_up(self) -> bool:
        """Whether there is a connection to ask on."""
        return self._link.is_up

    @asynccontextmanager
    async def tap(self) -> AsyncGenerator[Tap]:
        """Lend a channel. Run only in a task that nobody cancels.

        Raises:
            TimeoutError: the borrower was not done by the deadline; the channel is closed.
        """
        async with self._free, asyncio.timeout(self._deadline_s):
            tap: Tap | None = None
            while self._idle and (tap is None or tap.is_closed):
                tap = self._idle.pop()
            if tap is None or tap.is_closed:
                tap = await self._link.tap()
                tap.deadline_s = self._deadline_s
            is_sound = False
            try:
                yield tap
                is_sound = True
            except AMQPError:
                is_sound = True  # refused: then it is closed, or the broker did what it was asked
                raise
            finally:
                if not is_sound:  # who borrowed it next would wait for the same answer first
                    tap.abandon()
                elif not (tap.is_closed or tap.channel.is_closed):
                    self._idle.append(tap)

    async def look(self, queue: Queue) -> Found | None:
        """Return what is in ``queue``, or None when there is no such queue.

        Raises:
            OutOfReach: there is, on a node that is down.
            TimeoutError: there was no answer by the deadline; the channel is closed.
        """
        try:
            told = await self._ask(_LOOK.fill(queue.name))
        except ChannelNotFoundEntity as error:
            raise_out_of_reach(error)
            return None
        return Found(told.message_count or 0, told.consumer_count or 0)

    async def _ask(self, question: Question) -> Any:
        """Return the answer to one question: a loan without what a longer one takes.

        Each user who comes back is looked up twice, and a context with a timeout was a third of it.
        """
        async with self._free:
            while self._idle:
                tap = self._idle.pop()
                if tap.is_closed:
                    continue
                try:
                    answer = await tap.ask(question)
                except asyncio.CancelledError:
                    tap.abandon()
                    raise
                self._idle.append(tap)
                return answer
        async with self.tap() as tap:
            return await tap.ask(question)

    async def open(self, queue: Queue) -> Found:
        """Return what is in ``queue``; declare and bind it when it is absent."""
        found = await self.look(queue)
        if found is not None:
            return found
        async with self.tap() as tap:
            told, *_ = await answers(
                tap,
                [
                    spec.Queue.Declare(
                        queue=queue.name, durable=queue.durable, arguments=dict(queue.arguments)
                    ),
                    *(bind(queue.name, binding) for binding in queue.bindings),
                ],
            )
        return Found(told.message_count or 0, told.consumer_count or 0, was_absent=True)

    async def bind(self, queue: str, bindings: tuple[Binding, ...]) -> None:
        """Bind; what is bound already stays so."""
        async with self.tap() as tap:
            await answers(tap, [bind(queue, binding) for binding in bindings])

    async def unbind(self, queue: str, bindings: tuple[Binding, ...]) -> None:
        """Unbind; what is not bound stays so."""
        async with self.tap() as tap:
            await answers(tap, [unbind(queue, binding) for binding in bindings])


async def answers(tap: Tap, questions: list[Question]) -> list[Any]:
    """Return the answers to questions that are asked in one piece.

    Raises:
        AMQPError: one was refused; so are all behind it.
    """
    return [await answer for answer in tap.ask_all(questions)]


def bind(queue: str, to: Binding) -> Question:
    """Return the question that binds ``queue``."""
    return _BIND.fill(queue, to.source, to.routing_key)


def unbind(queue: str, of: Binding) -> Question:
    """Return the question that unbinds ``queue``."""
    return spec.Queue.Unbind(queue=queue, exchange=of.source, routing_key=of.routing_key)


def raise_out_of_reach(error: ChannelNotFoundEntity) -> None:
    """Raise when a 404 means a queue whose node is down, and not one that does not exist.

    RabbitMQ says ``no queue 'q' in vhost '/'`` of the latter, and of the former that its ``home
    node … is down or inaccessible`` or that its ``process is stopped`` (3.10, 4.x).
    """
    if "no queue" not in str(error):
        raise OutOfReach(str(error)) from error
