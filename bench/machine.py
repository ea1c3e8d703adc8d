"""The machine that a figure was taken on, and which core does what.

The server under test has core 0 to itself; the swarm, the publisher and the broker share core 1.
A machine with one core runs everything there, and says so.
"""

import os
import platform
import resource
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil

from bench import network

CORES: Final = sorted(os.sched_getaffinity(0))
SERVER_CORE: Final = CORES[0]
CLIENT_CORE: Final = CORES[-1]

LIBRARIES: Final = ("uvicorn", "uvloop", "websockets", "starlette", "aiormq", "pydantic")


@contextmanager
def pinned(*cores: int) -> Generator[None]:
    """Have what is started inside run on ``cores``; children inherit it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allow_many_files() -> int:
    """Raise the limit of open files as far as it goes, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class CpuClock:
    """CPU seconds that processes used, user and system, since the last ``lap``."""

    def __init__(self, *pids: int, children: bool = True) -> None:
        parents = [psutil.Process(pid) for pid in pids]
        self._processes = parents + [child for p in parents for child in p.children() if children]
        self._before = self._read()
        self._at = time.perf_counter()

    def lap(self) -> tuple[float, float]:
        """Return (CPU seconds, wall seconds) since the last call."""
        now, at = self._read(), time.perf_counter()
        spent = now - self._before, at - self._at
        self._before, self._at = now, at
        return spent

    def _read(self) -> float:
        return sum(sum(p.cpu_times()[:2]) for p in self._processes)


def resident_bytes(pid: int) -> int:
    """Return a process's resident memory, without what it shares with files."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return psutil.Process(pid).memory_info().rss


def describe() -> dict[str, Any]:
    """Return what stands beside every figure: machine, versions, date."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "cores": len(CORES),
        "cpu": _cpu(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
        "network": network.describe(),
        "versions": {name: version(name) for name in LIBRARIES},
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
