"""Django Channels with its in-memory layer: one group, `group_send` for each message.

python -m bench.peers.django_channels PORT CONTROL
"""

import asyncio
import importlib.util
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from bench.peers.lines import LineFed
from bench.servers import NotHere, free_port, server


@asynccontextmanager
async def start() -> AsyncGenerator[LineFed]:
    """Run it."""
    if importlib.util.find_spec("channels") is None:
        raise NotHere("the package `channels` is not installed (make bench-peers)")
    port, control = free_port(), free_port()
    argv = (sys.executable, "-m", "bench.peers.django_channels", str(port), str(control))
    async with server(argv, port, control) as process:
        hub = LineFed("Django Channels, in-memory layer", process.pid, port)
        await hub.connect(control)
        yield hub


def main() -> None:
    """Serve."""
    import django
    import uvicorn
    from django.conf import settings

    settings.configure(
        SECRET_KEY="benchmark",
        INSTALLED_APPS=["channels"],
        CHANNEL_LAYERS={
            "default": {
                "BACKEND": "channels.layers.InMemoryChannelLayer",
                "CONFIG": {"capacity": 10_000, "expiry": 3600},  # what is late comes late
            }
        },
    )
    django.setup()
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.layers import get_channel_layer

    class Socket(AsyncWebsocketConsumer):
        groups = ("everyone",)

        async def connect(self) -> None:
            await self.accept()
            await self.send(text_data="ready")

        async def tell(self, event: dict[str, Any]) -> None:
            await self.send(text_data=event["text"])

    async def take(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        layer = get_channel_layer()
        while line := await reader.readline():
            await layer.group_send("everyone", {"type": "tell", "text": line[:-1].decode()})

    socket = Socket.as_asgi()

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await socket(scope, receive, send)
            return
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await asyncio.start_server(take, "127.0.0.1", int(sys.argv[2]))
                await send({"type": "lifespan.startup.complete"})
            else:
                await send({"type": "lifespan.shutdown.complete"})
                return

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
