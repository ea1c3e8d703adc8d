"""The lock of a run directory: it, and not a pid in a file, says whether a fleet runs.

A supervisor holds it as long as it lives, however it ends; the kernel lets go of it.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE = "lock"
EXIT_BUSY = 75  # EX_TEMPFAIL: the exit code of a supervisor that found the lock held
DYING_S = 0.5  # a process that was killed may keep its lock for a moment
POLL_S = 0.05


class Busy(RuntimeError):
    """Another supervisor holds the run directory."""


@contextmanager
def lock(run_dir: Path) -> Generator[None]:
    """Holds the run directory's lock.

    Raises:
        Busy: it is held.
    """
    with (run_dir / LOCK_FILE).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{run_dir} belongs to a running fleet") from None
        yield


def is_held(run_dir: Path) -> bool:
    """Whether a supervisor runs on this directory."""
    if not (run_dir / LOCK_FILE).exists():
        return False
    try:
        with lock(run_dir):
            return False
    except Busy:
        return True


def is_held_by_the_living(run_dir: Path) -> bool:
    """Whether a supervisor runs; one that was killed this instant may keep its lock a moment."""
    deadline = time.monotonic() + DYING_S
    while is_held(run_dir):
        if time.monotonic() > deadline:
            return True
        time.sleep(POLL_S)
    return False
