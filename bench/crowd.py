"""A swarm, as the benchmark that commands it sees it."""

import asyncio
import base64
import json
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from bench.machine import CLIENT_CORE, pinned
from bench.websocket import Script

DEADLINE_S = 120.0


class Told(NamedTuple):
    """What a swarm counted since its last reset.

    Attributes:
        total: messages, over all connections; ``least`` and ``most`` of one connection.
        cpu_s: what the swarm's process used since its start.
        latencies_ms: sorted, at most about 20,000 of them, evenly taken.
    """

    total: int
    bytes: int
    receives: int
    least: int
    most: int
    clients: int
    lost: int
    cpu_s: float
    at: float
    latencies_ms: list[float]
    worst_ms: float


class Opened(NamedTuple):
    """How connections opened. ``times_s``: of each, one time for each step of its script."""

    count: int
    failed: int
    seconds: float
    times_s: list[list[float]]

    def of_step(self, step: int) -> list[float]:
        """Return, sorted, how long each took to the end of a step (-1: the last)."""
        return sorted(times[step] for times in self.times_s)


class Crowd:
    """Commands one swarm process; an asynchronous context manager."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._answers: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._credits = asyncio.Semaphore(0)
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start the process on the clients' core."""
        with pinned(CLIENT_CORE):
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bench.swarm",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=1 << 26,
            )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        """End it."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._reading is not None:
            await self._reading

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    async def open(
        self,
        port: int,
        scripts: Sequence[Script],
        *,
        times: int = 1,
        in_flight: int = 64,
        receive_buffer: int = 0,
        host: str = "127.0.0.1",
        deadline_s: float = DEADLINE_S,
    ) -> Opened:
        """Open a connection for each script, ``times`` over; return when all are through it."""
        await self._command(
            "open",
            host=host,
            port=port,
            scripts=[[(_text(expect), _text(send)) for expect, send in s] for s in scripts],
            times=times,
            in_flight=in_flight,
            receive_buffer=receive_buffer,
        )
        answer = await self._answer("opened", deadline_s)
        return Opened(answer["opened"], answer["failed"], answer["seconds"], answer["times"])

    async def reset(self, *, latency: bool = False, acking: bool = False) -> None:
        """Count from zero."""
        await self._command("reset", latency=latency, acking=acking)
        await self._answer("reset")
        self._credits = asyncio.Semaphore(0)

    async def tell(self) -> Told:
        """Return what was counted."""
        await self._command("tell")
        a = await self._answer("told")
        return Told(
            *(a["total"], a["bytes"], a["receives"], a["least"], a["most"], a["clients"]),
            *(a["lost"], a["cpu"], a["at"]),
            [micro / 1000 for micro in a.get("latencies", ())],
            a.get("worst", 0) / 1000,
        )

    async def credit_every(self, messages: int) -> None:
        """Have ``credit`` return once more for each so many messages that came."""
        await self._command("credit", every=messages)

    async def credit(self) -> None:
        """Wait until that many more messages have come."""
        await self._credits.acquire()

    async def heard(self) -> dict[int, tuple[int, int]]:
        """Return, by time of sending, when the first and the last connection had a message, µs."""
        await self._command("heard")
        answer = await self._answer("heard")
        return {sent: (first, last) for sent, (first, last) in answer["heard"]}

    async def stall(self, count: int) -> None:
        """Never read again from so many of the connections."""
        await self._command("stall", count=count)
        await self._answer("stalled")

    async def send(self, data: bytes) -> None:
        """Write bytes to every connection."""
        await self._command("send", data=_text(data))
        await self._answer("sent")

    async def follow(self, port: int, *, host: str = "127.0.0.1") -> None:
        """Have every connection that a server closes opened anew at ``port``.

        At once; where that fails, again with the SDKs' jitter, as part of the same time.
        """
        await self._command("follow", host=host, port=port)
        await self._answer("follows")

    async def followed(self) -> tuple[list[float], int]:
        """Return, sorted, how many seconds each took that was opened anew, and how often again."""
        await self._command("followed")
        answer = await self._answer("followed")
        return sorted(answer["followed"]), answer["again"]

    async def close(self) -> None:
        """Cut every connection."""
        await self._command("close")
        await self._answer("closed")

    async def until(self, total: int, deadline_s: float = DEADLINE_S) -> Told:
        """Return once at least ``total`` messages have come, or at the deadline."""
        loop = asyncio.get_running_loop()
        until = loop.time() + deadline_s
        while (told := await self.tell()).total < total and loop.time() < until:
            await asyncio.sleep(0.01)
        return told

    async def _command(self, do: str, **arguments: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do} | arguments).encode() + b"\n")
        await self._process.stdin.drain()

    async def _answer(self, kind: str, deadline_s: float = DEADLINE_S) -> dict[str, Any]:
        queue = self._answers.setdefault(kind, asyncio.Queue())
        return await asyncio.wait_for(queue.get(), deadline_s)

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            answer = json.loads(line)
            if "credit" in answer:
                self._credits.release()
            else:
                kind = next(iter(answer))
                self._answers.setdefault(kind, asyncio.Queue()).put_nowait(answer)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
