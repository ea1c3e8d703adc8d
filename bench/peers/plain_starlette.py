"""A server as a tutorial writes it: Starlette, and a loop over the connections for each message.

python -m bench.peers.plain_starlette PORT CONTROL
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
    argv = (sys.executable, "-m", "bench.peers.plain_starlette", str(port), str(control))
    async with server(argv, port, control) as process:
        hub = LineFed("Starlette, a loop of send_text", process.pid, port)
        await hub.connect(control)
        yield hub


def main() -> None:
    """Serve."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket, WebSocketDisconnect

    connections: set[WebSocket] = set()

    async def socket(connection: WebSocket) -> None:
        await connection.accept()
        await connection.send_text("ready")
        connections.add(connection)
        try:
            while True:
                await connection.receive_text()
        except (WebSocketDisconnect, KeyError):
            connections.discard(connection)

    async def broadcast(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            text = line[:-1].decode()
            for connection in list(connections):
                try:
                    await connection.send_text(text)
                except (WebSocketDisconnect, RuntimeError):
                    connections.discard(connection)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        control = await asyncio.start_server(broadcast, "127.0.0.1", int(sys.argv[2]))
        yield
        control.close()

    app = Starlette(routes=[WebSocketRoute("/", socket)], lifespan=lifespan)
    uvicorn.run(
        *(app,),
        port=int(sys.argv[1]),
        log_level="warning",
        ws="websockets-sansio",
        ws_ping_interval=None,
        ws_per_message_deflate=False,
    )


if __name__ == "__main__":
    main()
