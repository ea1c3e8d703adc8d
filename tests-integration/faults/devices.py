"""Clients that come and go under load, and stay when a round is drained."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any, Literal

from office_proxy import office_proxy
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from faults.audit import Device
from faults.book import Book
from tapewire.client import Backoff, FileStore, WebSocketClient

FLAP_S = 0.05
BACKOFF = Backoff(first_s=0.1, cap_s=1.0)
ALERT = "risk_alert"
BLOCKED_WITHIN_S = 2.0  # a stream of which nothing comes through; then polls
POLL_LASTS_S = 30.0  # longer than an edge lets one wait

Way = Literal["websocket", "sse", "long-poll"]


class Came:
    """What every kind of device has.

    Args:
        urls: of edges' sockets; an SDK tries them in an order of chance, here the seed's.
        token: makes a token.
        stay: while set, the device connects and stays.
    """

    def __init__(
        self,
        book: Book,
        device: Device,
        urls: Sequence[str],
        token: Callable[[], str],
        stay: asyncio.Event,
        rng: Random,
    ) -> None:
        self.book = book
        self.device = device
        self.urls = list(urls)
        self.token = token
        self.stay = stay
        self.rng = rng
        self.connected = asyncio.Event()
        book.devices.append(device)

    async def live(self) -> None:
        """Come and go until cancelled."""
        raise NotImplementedError

    async def while_leaving(self, longest_s: float) -> None:
        """Return after a random time, or when devices are to stay."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.rng.uniform(0, longest_s)):
                await self.stay.wait()

    async def while_here(self, longest_s: float) -> None:
        """Return after a random time; while devices are to stay, not at all."""
        await self.while_leaving(longest_s)
        while self.stay.is_set():
            await asyncio.sleep(0.2)


class SdkDevice(Came):
    """The SDK with a file store: every life of it is a new client on the same file.

    | way | it is |
    |---|---|
    | websocket | connected to an edge |
    | sse | behind a proxy that lets no WebSocket through |
    | long-poll | behind one that lets no stream through, either |
    """

    def __init__(self, *came, directory: Path, way: Way = "websocket") -> None:
        super().__init__(*came)
        self._path = directory / f"{self.device.name}.txt"
        self._way = way

    async def live(self) -> None:
        async with AsyncExitStack() as stack:
            options: dict[str, Any] = {}
            if self._way != "websocket":
                streams = self._way == "sse"
                proxy = await stack.enter_async_context(
                    office_proxy(websockets=False, streams=streams)
                )
                proxy.longest_s = POLL_LASTS_S
                options["connect_options"] = {"proxy": proxy.url}
            while True:
                await self._life(options)
                await self.while_leaving(2.0)

    async def _life(self, options: Mapping[str, Any]) -> None:
        self.rng.shuffle(self.urls)
        client = WebSocketClient(
            self.urls,
            self.token,
            shuffle=False,
            inbox="own" if self.device.own else None,
            store=FileStore(self._path, client_id=self.device.name),
            backoff=BACKOFF,
            open_timeout_s=5.0 if self._way == "websocket" else BLOCKED_WITHIN_S,
            drain_s=1.0,
            **options,
        )
        client.on_message(ALERT, self._handle)
        client.on_state(
            lambda change: self.book.noted(
                self.device, f"{change.after.value} {client.transport or ''}".strip()
            )
        )
        self.book.noted(self.device, f"begins with {self.urls[0]}")
        try:
            await client.connect(wait=False)
            if not self.connected.is_set():  # its inbox is there after the first welcome
                await client.connect()
                self.connected.set()
            await self.while_here(6.0 if self._way == "websocket" else 12.0)
        finally:
            await client.disconnect()

    async def _handle(self, message) -> None:
        await asyncio.sleep(self.rng.uniform(0, 0.01))
        self.book.handled(message.id, self.device, redelivered=message.redelivered)


class ProcessDevice(Came):
    """`faults.device` in a process of its own, which can be killed at any instant."""

    def __init__(self, *came, directory: Path, command: Sequence[str] = ("faults.device",)) -> None:
        super().__init__(*came)
        self._command = command
        self._log = directory / f"{self.device.name}.log"
        self._read = 0
        self.process: asyncio.subprocess.Process | None = None

    async def live(self) -> None:
        told = {
            "urls": self.urls,
            "client": self.device.name,
            "own": self.device.own,
            "log": str(self._log),
        }
        path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        while True:
            self.rng.shuffle(self.urls)
            environment = os.environ | {"TAPEWIRE_TOKEN": self.token(), "PYTHONPATH": path}
            with self._log.with_suffix(".err").open("ab") as errors:
                self.process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", *self._command, json.dumps(told)),
                    env=environment,
                    stdout=errors,
                    stderr=errors,
                )
            try:
                await self.process.wait()
            finally:
                with suppress(ProcessLookupError):
                    self.process.send_signal(signal.SIGKILL)
                await self.process.wait()
            await asyncio.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()

    def collect(self) -> None:
        """Put what it logged into the book."""
        if not self._log.exists():
            return
        with self._log.open("rb") as log:
            log.seek(self._read)
            for line in log:
                if line.endswith(b"\n"):
                    self._read += len(line)
                    id_, at, *more = json.loads(line)
                    self.book.handled(id_, self.device, at, redelivered=any(more))


class RawDevice(Came):
    """A plain WebSocket: reads, handles, acks. Knows no store, so it may handle twice.

    | manner | it |
    |---|---|
    | steady | stays for seconds |
    | flapping | drops its connection and makes another every 50 ms |
    | stalling | stops reading for seconds |
    | shy | acknowledges nothing before devices are to stay |
    """

    def __init__(self, *came, manner: str = "steady") -> None:
        super().__init__(*came)
        self.manner = manner

    async def live(self) -> None:
        while True:
            url = self.rng.choice(self.urls)
            self.book.noted(self.device, f"opens {url}")
            with suppress(OSError, TimeoutError, WebSocketException):
                socket = await open_socket(url, self.token())
                try:
                    await self._visit(socket)
                finally:
                    socket.transport.abort()
            if self.manner != "flapping" or self.stay.is_set():
                await asyncio.sleep(self.rng.uniform(0, 0.2))

    async def _visit(self, socket: ClientConnection) -> None:
        end = asyncio.create_task(self._until_leaving())
        reading = asyncio.create_task(self._read(socket))
        try:
            await asyncio.wait({end, reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (end, reading):
                task.cancel()
            await asyncio.gather(end, reading, return_exceptions=True)

    async def _until_leaving(self) -> None:
        if self.manner == "flapping" and not self.stay.is_set():
            await asyncio.sleep(FLAP_S)
        else:
            await self.while_here(6.0)

    async def _read(self, socket: ClientConnection) -> None:
        async for text in socket:
            self.connected.set()
            message = json.loads(text)
            if message["type"] != ALERT:
                continue
            if self.manner == "stalling" and self.rng.random() < 0.05:
                await self.while_leaving(4.0)
            if self.manner == "shy" and not self.stay.is_set():
                continue
            self.book.handled(
                message["id"], self.device, redelivered=bool(message.get("redelivered"))
            )
            await socket.send(json.dumps({"type": "ack", "ids": [message["id"]]}))


async def open_socket(url: str, token: str) -> ClientConnection:
    """Open a raw socket to an edge; what it brings begins with the welcome."""
    return await connect(
        url,
        additional_headers={"Authorization": f"Bearer {token}"},
        subprotocols=["tapewire.v1"],
        open_timeout=5,
        close_timeout=1,
        ping_interval=5,
        ping_timeout=5,
        compression=None,
    )
