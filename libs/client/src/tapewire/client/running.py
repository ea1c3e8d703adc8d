"""A client's life: started, connected, lost, failed, closed."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from tapewire.client.acks import Acks
from tapewire.client.dispatch import Dispatcher
from tapewire.client.errors import ClientError, NotConnected
from tapewire.client.link import Link
from tapewire.client.states import State, StateChange, Trigger, next_state
from tapewire.client.wire import Wire

log = logging.getLogger(__name__)

ENDED = frozenset({State.CLOSED, State.FAILED})


class Running:
    """Holds the state, and the tasks that live while the client is neither idle nor closed.

    Args:
        make_link: makes the link of one life, given whom to tell of transitions.
        dispatcher: outlives connections.
        acks: outlive them too.
        drain_s: how long ``disconnect`` waits for handlers and acks.
    """

    def __init__(
        self,
        make_link: "Callable[[Callable[..., None]], Link]",
        dispatcher: Dispatcher,
        acks: Acks,
        *,
        drain_s: float,
    ) -> None:
        self.state = State.IDLE
        self.failure: ClientError | None = None
        self.state_handlers: list[Callable[[StateChange], object]] = []
        self.loops: dict[asyncio.Task[Any], Callable[[], None]] = {}
        """Tasks in the body of a ``messages()`` loop, and what takes their message back."""

        self._make_link = make_link
        self._dispatcher = dispatcher
        self._acks = acks
        self._drain_s = drain_s
        self._changed = asyncio.Event()
        self._link: Link | None = None
        self._keeper: asyncio.Task[None] | None = None  # runs the link
        self._handing: asyncio.Task[None] | None = None  # runs the dispatcher
        self._shutting: asyncio.Task[None] | None = None

    @property
    def wire(self) -> Wire | None:
        """The connection, while there is one."""
        return self._link.wire if self._link is not None else None

    async def connect(self, *, wait: bool) -> None:
        """Start unless started; with ``wait``, return after the welcome."""
        await self._shut_wholly()
        if self.state is State.IDLE or self.state in ENDED:
            self.failure = None
            self._move(Trigger.CONNECT)
            self._link = self._make_link(self._move)
            self._keeper = asyncio.create_task(self._keep(self._link))
            if self._handing is None:  # a failed life leaves it running
                self._handing = asyncio.create_task(self._dispatcher.run())
        if not wait:
            return
        while self.state in {State.CONNECTING, State.RECONNECTING}:
            await self._changed.wait()
        if self.failure is not None:
            raise self.failure
        if self.state is State.CLOSED:
            raise NotConnected("disconnected while connecting")

    async def reconnect(self) -> None:
        """Drop the connection if there is one, skip the wait if there is none, and connect."""
        if self._link is not None and self.state not in ENDED:
            self._link.hurry()
            while self.state is State.CONNECTED:
                await self._changed.wait()
        await self.connect(wait=True)

    async def disconnect(self, *, leaving: bool = False) -> None:
        """Close; from within a handler or a loop's body: have it done after that.

        Args:
            leaving: the caller's loop, if it is in one, will not come back for another message.
        """
        task = asyncio.current_task()
        if leaving and task in self.loops:
            self.loops.pop(task)()
        if self.state is State.CLOSED:
            return
        if self._shutting is None:
            self._shutting = asyncio.create_task(self._shut())
        if task is not self._handing and task not in self.loops:
            await self._shut_wholly()

    async def wait_ended(self) -> None:
        """Return once closed; raise the failure if that is how it ended."""
        while self.state not in ENDED:
            await self._changed.wait()
        if self.failure is not None:
            raise self.failure

    async def _keep(self, link: Link) -> None:
        try:
            failure = await link.run()
        except Exception as error:
            log.exception("the connection's task failed")
            failure = ClientError(f"internal error: {error!r}")
        if failure is not None:
            self.failure = failure
            self._move(Trigger.STOP, reason=str(failure), code=getattr(failure, "code", None))

    async def _shut(self) -> None:
        link = self._link
        if link is not None:
            link.stop_reading()
            try:
                async with asyncio.timeout(self._drain_s):
                    await self._dispatcher.idle()
                    if link.wire is not None:
                        await self._acks.sent()
            except TimeoutError:
                log.warning("closed with messages unhandled or unacked: they will come again")
            if link.wire is not None:
                await link.wire.close()
        await self._stop_tasks()
        self._move(Trigger.CLOSE)

    async def _shut_wholly(self) -> None:
        if self._shutting is not None:
            await asyncio.shield(self._shutting)
            self._shutting = None

    async def _stop_tasks(self) -> None:
        tasks = [task for task in (self._keeper, self._handing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._keeper = self._handing = None

    def _move(self, trigger: Trigger, **details: Any) -> None:
        before = self.state
        self.state = next_state(before, trigger)
        change = StateChange(before, self.state, **details)
        log.info("%s%s", self.state, f": {change.reason}" if change.reason else "")
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        for handler in self.state_handlers:
            try:
                handler(change)
            except Exception:
                log.exception("a state handler raised")
