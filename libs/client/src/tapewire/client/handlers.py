"""Who wants which message."""

import inspect
from collections.abc import Callable
from typing import Any

from tapewire.client.message import Message
from tapewire.contracts import Event

Handler = Callable[[Message[Any]], object]
"""Sync or async. Returning is what acknowledges; raising leaves the message unacknowledged."""

EVERY = "*"


class LeftUnhandled(Exception):
    """Raised by a handler that leaves a message alone on purpose: no error, and no ack."""


class Handlers:
    """The handlers of one client, in the order in which they were registered."""

    def __init__(self) -> None:
        self._by_type: dict[str, list[Handler]] = {}
        self._unknown: list[Handler] = []

    def add(self, message_type: str | type[Event], handler: Handler) -> None:
        """Have ``handler`` called for a type, or for every message (``"*"``); once, if repeated."""
        self._by_type.setdefault(type_name(message_type), []).append(handler)

    def remove(self, message_type: str | type[Event], handler: Handler | None = None) -> None:
        """Forget ``handler`` for this type, or all of the type's handlers. Unknown: no effect."""
        name = type_name(message_type)
        kept = [] if handler is None else [h for h in self._by_type.get(name, []) if h != handler]
        if kept:
            self._by_type[name] = kept
        else:
            self._by_type.pop(name, None)

    def add_unknown(self, handler: Handler) -> None:
        """Have ``handler`` called for messages of types that this version does not know."""
        self._unknown.append(handler)

    def of(self, message: Message[Any]) -> tuple[Handler, ...]:
        """Return whom ``message`` goes to, each once: its type's, the unknown's, the rest."""
        named = self._by_type.get(message.type, [])
        unknown = [] if message.known or named else self._unknown
        return tuple(dict.fromkeys((*named, *unknown, *self._by_type.get(EVERY, []))))

    def __bool__(self) -> bool:
        return bool(self._by_type or self._unknown)


def type_name(message_type: str | type[Event]) -> str:
    """Return the wire's ``type`` of a model, or the name itself."""
    if isinstance(message_type, str):
        return message_type
    return str(message_type.model_fields["type"].default)


async def call(handler: Callable[..., Any], *arguments: Any) -> None:
    """Call a sync or async handler to its end."""
    result = handler(*arguments)
    if inspect.isawaitable(result):
        await result
