"""From the socket to the handlers: one message after another, each once."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tapewire.client.acks import Acks
from tapewire.client.handlers import Handler, Handlers, LeftUnhandled, call
from tapewire.client.memory import DedupStore, Seen
from tapewire.client.message import Message

log = logging.getLogger(__name__)

WAITING = 1024  # messages read ahead of the handlers; then the socket is left to push back


@dataclass(frozen=True, slots=True)
class InOrder:
    """A call that keeps its place among the messages."""

    handler: Callable[..., object]
    argument: object


class Dispatcher:
    """The queue in front of the handlers, and the memory of what they have handled.

    It outlives connections: what a lost connection brought is still handled, and acked over the
    next one.
    """

    def __init__(
        self, handlers: Handlers, acks: Acks, *, store: DedupStore | None, auto_ack: bool
    ) -> None:
        self._handlers = handlers
        self._acks = acks
        self._store = store
        self._auto_ack = auto_ack
        self._queue: deque[Message[Any] | InOrder] = deque()
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._requests = 0
        self._handled = Seen()
        self._acked = Seen()
        self._partly: dict[str, list[Handler]] = {}
        self._unheard: set[str] = set()

    def restore(self, ids: Sequence[str]) -> None:
        """Take the ids of an earlier run for handled."""
        for message_id in ids:
            self._handled.add(message_id)
            self._acked.add(message_id)

    async def put(self, message: Message[Any]) -> None:
        """Queue a message and wait for room."""
        self.push(message)
        await self._room.wait()

    def push(self, item: Message[Any] | InOrder) -> None:
        """Queue a message, or a call that keeps its place among them.

        Without any handler the queue keeps its newest: alerts that fell out come again.
        """
        if not self._handlers and len(self._queue) >= WAITING - 1:
            self._queue.popleft()
        self._queue.append(item)
        self._idle.clear()
        self._signal()

    @contextmanager
    def flowing(self) -> Generator[None, None, None]:
        """Read on past the bound meanwhile: a handler waits for an answer behind the messages."""
        self._requests += 1
        self._signal()
        try:
            yield
        finally:
            self._requests -= 1
            self._signal()

    def listen(self) -> None:
        """Look at the handlers again: nothing is handed on before there is one."""
        self._signal()

    async def idle(self) -> None:
        """Wait until everything that was put has been handled; without a handler, not at all."""
        if self._handlers:
            await self._idle.wait()

    async def run(self) -> None:
        """Hand messages on, in order, until cancelled."""
        try:
            while True:
                await self._work.wait()
                item = self._queue.popleft()
                self._signal()
                if isinstance(item, InOrder):
                    await self._guarded(item.handler, item.argument, what="gap")
                else:
                    await self._hand_on(item)
                if not self._queue:
                    self._idle.set()
        finally:
            if not self._queue:
                self._idle.set()

    async def ack(self, ids: Sequence[str]) -> None:
        """Ack what the application has dealt with; remembered first."""
        for message_id in ids:
            self._handled.add(message_id)
            self._acked.add(message_id)
        await self.remember(ids)
        self._acks.add(ids)

    async def remember(self, ids: Sequence[str]) -> None:
        """Store ids, if there is a store; a failure is logged: at least once still holds."""
        if self._store is None:
            return
        try:
            await self._store.remember(ids)
        except Exception:
            log.exception("handled ids could not be stored; a restart may handle them again")

    async def _hand_on(self, message: Message[Any]) -> None:
        key = message.dedup_id
        if key is not None and key in self._handled:
            if message.wants_ack and key in self._acked:
                self._acks.add([key])
            return
        handlers = self._handlers.of(message)
        if not handlers:
            self._not_heard(message)
            return
        done = self._partly.pop(key, []) if key is not None else []
        for handler in handlers:
            if handler not in done and await self._guarded(handler, message, what=message.type):
                done.append(handler)
        if len(done) < len(handlers):
            if key is not None and message.wants_ack:
                self._partly[key] = done  # the copy that comes again skips those who are done
                if len(self._partly) > WAITING:
                    del self._partly[next(iter(self._partly))]
            return
        await self._settle(message, key)

    async def _settle(self, message: Message[Any], key: str | None) -> None:
        if key is not None:
            self._handled.add(key)
        if message.wants_ack and message.id is not None:
            if self._auto_ack:
                await self.ack([message.id])
        elif key is not None:
            await self.remember([key])

    async def _guarded(self, handler: Callable[..., object], *arguments: object, what: str) -> bool:
        """Return whether the handler returned; a raising one is logged."""
        try:
            await call(handler, *arguments)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            log.exception("%s: cancelled inside a handler; not acknowledged", what)
            return False
        except LeftUnhandled:
            return False
        except Exception:
            log.exception("%s: a handler raised; not acknowledged", what)
            return False
        return True

    def _not_heard(self, message: Message[Any]) -> None:
        if message.wants_ack and message.type not in self._unheard:
            self._unheard.add(message.type)
            log.warning("no handler for %s: it stays unacknowledged", message.type)

    def _signal(self) -> None:
        _set(self._work, bool(self._queue) and bool(self._handlers))
        _set(self._room, len(self._queue) < WAITING or self._requests > 0)


def _set(event: asyncio.Event, on: bool) -> None:
    if on:
        event.set()
    else:
        event.clear()
