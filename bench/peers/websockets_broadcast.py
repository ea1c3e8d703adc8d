"""The `websockets` library's own server and its ``broadcast()``.

python -m bench.peers.websockets_broadcast PORT CONTROL
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from bench.peers.lines import LineFed
from bench.servers import free_port, server


@asynccontextmanager
async def start() -> AsyncGenerator[LineFed]:
    """Run it."""
    port, control = free_port(), free_port()
    argv = (sys.executable, "-m", "bench.peers.websockets_broadcast", str(port), str(control))
    async with server(argv, port, control) as process:
        hub = LineFed("websockets, broadcast()", process.pid, port)
        await hub.connect(control)
        yield hub


async def serve() -> None:
    """Serve for ever."""
    from websockets.asyncio.server import ServerConnection
    from websockets.asyncio.server import broadcast as to_all
    from websockets.asyncio.server import serve as websocket_server

    connections: set[ServerConnection] = set()

    async def socket(connection: ServerConnection) -> None:
        await connection.send("ready")
        connections.add(connection)
        try:
            await connection.wait_closed()
        finally:
            connections.discard(connection)

    async def take(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            to_all(connections, line[:-1].decode())

    await asyncio.start_server(take, "127.0.0.1", int(sys.argv[2]))
    async with websocket_server(
        *(socket, "127.0.0.1", int(sys.argv[1])), ping_interval=None, compression=None
    ):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve())
