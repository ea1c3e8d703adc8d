"""Messages as an asynchronous loop instead of calls."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from tapewire.client.handlers import LeftUnhandled
from tapewire.client.listening import Listening
from tapewire.client.message import Message
from tapewire.client.running import ENDED, Running
from tapewire.client.states import StateChange
from tapewire.contracts import Event


class _Counter:
    """Where the dispatcher leaves a message and waits until the loop has dealt with it."""

    def __init__(self) -> None:
        self.stirred = asyncio.Event()
        self._waiting: Message[Any] | None = None
        self._done: asyncio.Future[None] | None = None

    async def hand_over(self, message: Message[Any]) -> None:
        """Handle a message: return once the loop came back for the next."""
        self._waiting = message
        self._done = asyncio.get_running_loop().create_future()
        self.stirred.set()
        await self._done

    def watch(self, change: StateChange) -> None:
        """Wake the loop when there is nothing more to come."""
        if change.after in ENDED:
            self.stirred.set()

    def take(self) -> Message[Any] | None:
        """Return what waits, if anything does."""
        self.stirred.clear()
        message, self._waiting = self._waiting, None
        return message

    def dealt_with(self) -> None:
        """Let the handler return: the message may be acked."""
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def left(self) -> None:
        """Let the handler fail: the message stays unacked."""
        if self._done is not None and not self._done.done():
            self._done.set_exception(LeftUnhandled())


async def stream(
    listening: Listening, running: Running, types: Sequence[str | type[Event]]
) -> AsyncGenerator[Message[Any], None]:
    """Yield messages of these types until the client has ended; raise its failure."""
    counter = _Counter()
    running.state_handlers.append(counter.watch)
    for message_type in types:
        listening.on_message(message_type, counter.hand_over)
    try:
        while True:
            message = counter.take()
            if message is None:
                if running.state in ENDED:
                    await running.wait_ended()
                    return
                await counter.stirred.wait()
                continue
            task = asyncio.current_task()
            assert task is not None
            running.loops[task] = counter.left
            yield message
            running.loops.pop(task, None)
            counter.dealt_with()
    finally:
        for task in [t for t, leave in running.loops.items() if leave == counter.left]:
            del running.loops[task]
        counter.left()
        for message_type in types:
            listening.off_message(message_type, counter.hand_over)
        running.state_handlers.remove(counter.watch)
