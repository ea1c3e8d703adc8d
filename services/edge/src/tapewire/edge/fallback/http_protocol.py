"""The uvicorn HTTP protocol that lets the application cut a client off.

``transport.close()``, all that ASGI leads to, waits for ever for a peer that reads nothing, so the
transport itself is in the scope, as ``scope["extensions"]["tapewire.transport"]`` (uvicorn 0.54).
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tapewire.edge.fallback.stream import EXTENSION


class Http(HttpToolsProtocol):
    """One HTTP connection of a client."""

    def on_message_begin(self) -> None:
        """A request begins: put the transport into its scope."""
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: self.transport}  # type: ignore[typeddict-item]
