"""Registering handlers: the part of the client that needs no connection."""

from collections.abc import Callable
from typing import Any, TypeVar, overload

from tapewire.client.handlers import Handlers
from tapewire.client.message import Message
from tapewire.contracts import Event
from tapewire.contracts.frames import Recovered

E = TypeVar("E", bound=Event)
H = TypeVar("H", bound=Callable[..., object])


class Listening:
    """Who is to be called for what.

    Args:
        handlers: of messages.
        listen: called when they have changed.
    """

    def __init__(self, handlers: Handlers, listen: Callable[[], None]) -> None:
        self._handlers = handlers
        self._listen = listen
        self._gap_handlers: list[Callable[[Recovered], object]] = []

    @overload
    def on_message(
        self, message_type: type[E], handler: Callable[[Message[E]], object], /
    ) -> Callable[[Message[E]], object]: ...
    @overload
    def on_message(
        self, message_type: str, handler: Callable[[Message[Any]], object], /
    ) -> Callable[[Message[Any]], object]: ...
    @overload
    def on_message(self, message_type: str | type[Event], /) -> Callable[[H], H]: ...
    def on_message(
        self, message_type: str | type[Event], handler: Callable[..., object] | None = None, /
    ) -> Callable[..., object]:
        """Have ``handler`` (sync or async) called for each message of a type; also a decorator.

        Args:
            message_type: a wire type, a contracts model, or ``"*"`` for every message. ``"acked"``
                tells which alerts the user acked on another device.
            handler: gets a ``Message``. Returning acknowledges; raising leaves it unacked, to come
                again. Sync handlers run on the event loop and must not block it.
        """
        if handler is None:
            return lambda decorated: self.on_message(message_type, decorated)  # pyright: ignore
        self._handlers.add(message_type, handler)
        self._listen()
        return handler

    def off_message(
        self, message_type: str | type[Event], handler: Callable[..., object] | None = None, /
    ) -> None:
        """Forget a handler of this type, or all of them; harmless when there is none."""
        self._handlers.remove(message_type, handler)
        self._listen()

    def on_unknown(self, handler: H) -> H:
        """Have ``handler`` called for messages of types that this version does not know."""
        self._handlers.add_unknown(handler)
        self._listen()
        return handler

    def on_gap(self, handler: H) -> H:
        """Have ``handler`` called with ``Recovered`` when messages were missed for good.

        It is called before the first message that was recovered.
        """
        self._gap_handlers.append(handler)
        return handler
