"""socket.io on Node.js; its clients speak Engine.IO 4 by hand."""

import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench.peers.lines import LineFed
from bench.servers import NotHere, free_port, server
from bench.websocket import Script, client_frame, upgrade

HERE: Final = Path(__file__).parent / "node"


class SocketIo(LineFed):
    """Clients open the socket, the namespace, and are greeted with an event."""

    def scripts(self, count: int) -> Sequence[Script]:
        """Return the steps of Engine.IO and Socket.IO: open (`0`), connect (`40`), `ready`."""
        asked = upgrade("127.0.0.1", "/socket.io/?EIO=4&transport=websocket")
        return [[(b"", asked), (b'0{"sid"', client_frame(b"40")), (b'"ready"', b"")]] * count


@asynccontextmanager
async def start() -> AsyncGenerator[SocketIo]:
    """Run it."""
    if shutil.which("node") is None or not (HERE / "node_modules" / "socket.io").exists():
        raise NotHere("Node.js or the package socket.io is not there (make bench-peers)")
    port, control = free_port(), free_port()
    argv = ("node", str(HERE / "server.mjs"), str(port), str(control))
    async with server(argv, port, control) as process:
        hub = SocketIo("socket.io, io.emit", process.pid, port)
        await hub.connect(control)
        yield hub
