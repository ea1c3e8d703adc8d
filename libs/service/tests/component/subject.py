"""A service for the tests of signals: `python subject.py BEHAVIOUR`; logs what happens to it.

Its one component holds WebSockets open. Draining says `draining` on each and waits until the
client closes it, as the edge does.
"""

import asyncio
import logging
import sys

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from tapewire.service import ServiceSettings, create_app, serve, telemetry

log = logging.getLogger("subject")
behaviour = sys.argv[1] if len(sys.argv) > 1 else "good"
router = APIRouter(prefix="/v1")


class Sockets:
    """The component under test."""

    name = "sockets"

    def __init__(self) -> None:
        self.open: set[WebSocket] = set()
        self.empty = asyncio.Event()
        self.empty.set()

    async def start(self) -> None:
        log.info("starting")
        if behaviour == "slow to start":
            await asyncio.sleep(1)
        if behaviour == "cannot start":
            raise RuntimeError("no disk")
        log.info("started")

    async def drain(self) -> None:
        log.info("drain began")
        for websocket in self.open:
            await websocket.send_text("draining")
        await self.empty.wait()
        log.info("drain ended")

    async def stop(self) -> None:
        log.info("stopped")

    def health(self) -> str | None:
        return None


sockets = Sockets()


@router.websocket("/ws")
async def ws(websocket: WebSocket) -> None:
    await websocket.accept()
    sockets.open.add(websocket)
    sockets.empty.clear()
    await websocket.send_text("hello")
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        log.info("client left")
        sockets.open.discard(websocket)
        if not sockets.open:
            sockets.empty.set()


@router.get("/task")
async def task() -> str:
    with telemetry.span("task"):
        return "done"


if __name__ == "__main__":
    settings = ServiceSettings()
    app = create_app(
        settings,
        service="subject",
        components=[sockets],
        routers=[router],
        title="Subject",
        description="Of tests",
    )
    serve(app, settings)
