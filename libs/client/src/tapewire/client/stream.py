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
        self._waiting: list[tuple[Message[Any], asyncio.Future[None]]] = []

    async def hand_over(self, message: Message[Any]) -> None:
        """Handle a message: return once the loop came back for the next."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((message, done))
        self.stirred.set()
        await done

    def watch(self, change: StateChange) -> None:
        """Wake the loop when there is nothing more to come."""
        if change.after in ENDED:
            self.stirred.set()

    def take(self) -> tuple[Message[Any], asyncio.Future[None]] | None:
        """Return what waits, if anything does."""
        self.stirred.clear()
        return self._waiting.pop() if self._waiting else None


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
            taken = counter.take()
            if taken is None:
                if running.state in ENDED:
                    await running.wait_ended()
                    return
                await counter.stirred.wait()
                continue
            message, done = taken
            try:
                yield message
            except BaseException:
                if not done.done():
                    done.set_exception(LeftUnhandled())
                raise
            if not done.done():
                done.set_result(None)
    finally:
        for message_type in types:
            listening.off_message(message_type, counter.hand_over)
        running.state_handlers.remove(counter.watch)
