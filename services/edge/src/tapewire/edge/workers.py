"""Several edge processes behind one port: each a node with a queue of its own.

The kernel spreads connections over the workers' listening sockets (``SO_REUSEPORT``; Linux). A
worker listens only once it can serve, so nobody is sent to one that is starting.
"""

import asyncio
import ctypes
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import Final

log = logging.getLogger(__name__)

WORKER: Final = "TAPEWIRE_EDGE_WORKER"  # a worker's number, set by the parent
SIBLINGS: Final = "TAPEWIRE_EDGE_SIBLINGS"  # the directory of the workers' sockets
PARENT: Final = "TAPEWIRE_EDGE_PARENT"  # the parent's process id

DID_NOT_START: Final = 3  # exit status: a setting is wrong or the port is taken; again is no use
RETRY_BASE_S: Final = 0.2
RETRY_CAP_S: Final = 5.0
STEADY_S: Final = 10.0  # a worker that ran for so long is started again at once

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


class Workers:
    """The parent: starts workers, starts them again when they die, and ends with them.

    SIGTERM and SIGINT are passed on, and each worker drains; a second one kills them.
    """

    def __init__(self, count: int, directory: Path) -> None:
        self._count = count
        self._directory = directory
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._leaving = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        """Return the exit status once every worker is gone."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        async with asyncio.TaskGroup() as group:
            for number in range(self._count):
                group.create_task(self._keep(number))
        return self._status

    async def _keep(self, number: int) -> None:
        wait_s = RETRY_BASE_S
        while not self._leaving.is_set():
            began = monotonic()
            status = await self._one(number)
            if self._leaving.is_set():
                return
            log.warning("worker ended", extra={"worker": number, "status": status})
            if status == DID_NOT_START:
                self._status = status
                self._leave(signal.SIGTERM)
                return
            wait_s = (
                RETRY_BASE_S if monotonic() - began > STEADY_S else min(2 * wait_s, RETRY_CAP_S)
            )
            try:
                async with asyncio.timeout(wait_s):
                    await self._leaving.wait()
            except TimeoutError:
                continue

    async def _one(self, number: int) -> int:
        """Run one worker to its end; return its exit status."""
        own = {WORKER: str(number), SIBLINGS: str(self._directory), PARENT: str(os.getpid())}
        if node := os.environ.get("TAPEWIRE_EDGE_NODE"):  # no two nodes may share a name
            own["TAPEWIRE_EDGE_NODE"] = f"{node}-{number}"
        process = self._running[number] = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tapewire.edge"), env=os.environ | own
        )
        if self._leaving.is_set():  # told to leave while it was being started
            process.terminate()
        status = await process.wait()
        del self._running[number]
        return status

    def _on_signal(self) -> None:
        self._leave(signal.SIGKILL if self._leaving.is_set() else signal.SIGTERM)

    def _leave(self, number: signal.Signals) -> None:
        self._leaving.set()
        for process in self._running.values():
            process.send_signal(number)


def supervise(count: int) -> int:
    """Run ``count`` workers until told to stop; return the exit status. Blocks."""
    with tempfile.TemporaryDirectory(prefix="tapewire-edge-") as directory:
        return asyncio.run(Workers(count, Path(directory)).run())


def end_with_parent() -> None:
    """Have this worker told to stop when its parent is gone, however that ended (Linux).

    Raises:
        SystemExit: it went while this was starting.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if str(os.getppid()) != os.environ.get(PARENT):
            raise SystemExit(DID_NOT_START)
