"""The uvicorn HTTP protocol (0.54) that lets the application cut a client off.

``transport.close()``, all that ASGI leads to, waits for ever for a peer that reads nothing, so the
transport itself is in the scope, as ``scope["extensions"]["tapewire.transport"]``.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tapewire.edge.fallback.stream import EXTENSION
from tapewire.edge.transport.protocol import Socket


class Http(HttpToolsProtocol):
    """One HTTP connection of a client."""

    def on_message_begin(self) -> None:
        """A request begins: put the transport into its scope."""
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: self.transport}  # type: ignore[typeddict-item]

    def handle_websocket_upgrade(self) -> None:
        """Become a WebSocket, of the request as it was read."""
        self.connections.discard(self)
        self.transport.set_protocol(Socket(self))
