"""A real process under real signals."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

SUBJECT = Path(__file__).with_name("subject.py")


class Process:
    """The service as a child process; its log lines are kept as they come."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self.child = child
        self.lines: list[dict[str, Any]] = []
        self.url = ""
        self._more = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.child.stderr is not None
        async for line in self.child.stderr:
            try:
                self.lines.append(json.loads(line))
            except ValueError:  # the interpreter's own words, when it fails before logging
                self.lines.append({"message": line.decode()})
            self._more.set()

    @property
    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines]

    async def logged(self, pattern: str) -> dict[str, Any]:
        """Wait for a log line."""
        async with asyncio.timeout(30):
            while True:
                for line in self.lines:
                    if re.search(pattern, line["message"]):
                        return line
                if self._reader.done():
                    pytest.fail(f"{pattern!r} was not logged: {self.messages}")
                self._more.clear()
                waiting = asyncio.create_task(self._more.wait())
                await asyncio.wait({waiting, self._reader}, return_when="FIRST_COMPLETED")
                waiting.cancel()

    async def listening(self) -> str:
        """Wait for the service to listen; return its base URL."""
        line = await self.logged("running on http")
        found = re.search(r"http://[\d.:]+", line["message"])
        assert found
        self.url = found.group()
        return self.url

    def order(self, *wanted: str) -> list[str]:
        """Return those of the wanted messages that were logged, in order."""
        return [message for message in self.messages if message in wanted]

    async def exit_status(self, within_s: float = 60) -> int:
        async with asyncio.timeout(within_s):
            status = await self.child.wait()
            await self._reader
        return status


Launch = Callable[..., Awaitable[Process]]


@pytest.fixture
async def launch() -> AsyncIterator[Launch]:
    started: list[Process] = []

    async def start(behaviour: str = "good", **environment: str) -> Process:
        variables = {"TAPEWIRE_HTTP_PORT": "0", "TAPEWIRE_LOG_FORMAT": "json"} | environment
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            str(SUBJECT),
            behaviour,
            env=os.environ | variables,
            stderr=asyncio.subprocess.PIPE,
        )
        started.append(Process(child))
        return started[-1]

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.child.kill()
        await process.exit_status()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_before_any_connection_is_closed(
    launch: Launch, number: signal.Signals
):
    process = await launch()
    url = await process.listening()
    async with (
        connect(url.replace("http", "ws") + "/v1/ws") as socket,
        httpx.AsyncClient(timeout=60) as http,
    ):
        assert await socket.recv() == "hello"
        process.child.send_signal(number)
        async with asyncio.timeout(10):
            assert await socket.recv() == "draining"
        answer = await http.get(f"{url}/readyz")
        assert (answer.status_code, answer.json()["checks"]["service"]) == (503, "draining")
        assert (await http.get(f"{url}/healthz")).status_code == 200
    assert await process.exit_status() == 0
    order = process.order("drain began", "client left", "drain ended", "Shutting down", "stopped")
    assert order == ["drain began", "client left", "drain ended", "Shutting down", "stopped"]


async def test_a_client_that_stays_is_closed_at_the_drain_deadline(launch: Launch):
    process = await launch(TAPEWIRE_DRAIN_TIMEOUT_S="0.3")
    url = await process.listening()
    async with connect(url.replace("http", "ws") + "/v1/ws") as socket:
        assert await socket.recv() == "hello"
        process.child.terminate()
        assert await socket.recv() == "draining"
        await socket.wait_closed()
        assert socket.close_code == 1012
    assert await process.exit_status() == 0
    order = process.order("drain began", "drain deadline passed", "client left", "stopped")
    assert order == ["drain began", "drain deadline passed", "client left", "stopped"]


async def test_a_second_signal_ends_the_process_at_once(launch: Launch):
    process = await launch(TAPEWIRE_DRAIN_TIMEOUT_S="60")
    url = await process.listening()
    async with connect(url.replace("http", "ws") + "/v1/ws") as socket:
        assert await socket.recv() == "hello"
        process.child.terminate()
        assert await socket.recv() == "draining"
        process.child.terminate()
        assert await process.exit_status() == 128 + signal.SIGTERM
    assert "second signal: leaving at once" in process.messages


async def test_a_signal_while_starting_is_not_lost(launch: Launch):
    process = await launch("slow to start")
    await process.logged("^starting$")
    process.child.terminate()
    assert await process.exit_status() == 0
    assert process.order("started", "drain began", "stopped") == [
        "started",
        "drain began",
        "stopped",
    ]


async def test_a_service_that_cannot_start_exits_with_status_3(launch: Launch):
    process = await launch("cannot start")
    assert await process.exit_status() == 3
    assert "stopped" in process.messages
    assert any("RuntimeError: no disk" in message for message in process.messages)


async def test_a_taken_port_ends_the_service_and_its_parts(launch: Launch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = await launch(TAPEWIRE_HTTP_PORT=str(taken.getsockname()[1]))
        assert await process.exit_status() == 3
    assert any("address already in use" in message for message in process.messages)
    assert process.messages.count("stopped") == 1


async def test_a_collector_that_is_away_does_not_hold_up_the_exit(launch: Launch):
    process = await launch(TAPEWIRE_OTLP_ENDPOINT="http://127.0.0.1:1")
    url = await process.listening()
    async with httpx.AsyncClient(timeout=60) as http:
        await http.get(f"{url}/v1/task")
    process.child.terminate()
    assert await process.exit_status() == 0
    assert process.order("stopped", "spans not sent") == ["stopped", "spans not sent"]


async def test_spans_go_to_the_collector_that_is_configured(launch: Launch):
    received: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue()

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))  # type: ignore[union-attr]
            await received.put((head, await reader.readexactly(length)))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(collect, "127.0.0.1", 0) as collector:
        port = collector.sockets[0].getsockname()[1]
        process = await launch(TAPEWIRE_OTLP_ENDPOINT=f"http://127.0.0.1:{port}/")
        url = await process.listening()
        async with httpx.AsyncClient(timeout=60) as http:
            await http.get(f"{url}/v1/task")
        process.child.terminate()
        assert await process.exit_status() == 0
        head, body = received.get_nowait()
    assert head.startswith(b"POST /v1/traces ")
    assert b"tapewire-subject" in body
    assert b"GET /v1/task" in body
