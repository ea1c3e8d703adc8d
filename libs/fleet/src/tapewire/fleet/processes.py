"""Processes that may outlive whoever started them: recognised for certain, ended completely.

Every program of the fleet leads a session of its own. A pid alone proves nothing, since the
kernel gives it out again; a pid with its start time does. While any member of a session lives,
its number is not given out as a pid, so the members of a dead leader's session are its own.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

START_TOLERANCE_S = 2.0  # start times are counted from the boot; a clock step moves them together


class Identity(NamedTuple):
    """A process for certain: its pid and when it started (Unix seconds)."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The identity of the process `pid`, or None if it is gone."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    def process(self) -> psutil.Process | None:
        """The process itself while it runs; None when gone, dead, or the pid is another's."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < START_TOLERANCE_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def members(leader: Identity) -> list[psutil.Process]:
    """The living processes of the session that `leader` leads or led, the leader included."""
    try:
        recycled = abs(psutil.Process(leader.pid).create_time() - leader.started)
        if recycled >= START_TOLERANCE_S:
            return []
    except psutil.NoSuchProcess:
        pass
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader.pid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            continue
    return found


def kill_session(leader: Identity) -> None:
    """SIGKILL to every process of the leader's session, also to what is forked meanwhile."""
    while left := members(leader):
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(left, timeout=1)


def end(
    leaders: Iterable[Identity],
    *,
    timeout_s: float,
    waiting: Callable[[list[Identity]], None] | None = None,
) -> None:
    """SIGTERM to the leaders, then SIGKILL to what is left of their sessions after `timeout_s`.

    A leader hears the first signal alone: it knows in which order its own children go.

    Args:
        leaders: recorded identities; those that are gone already are skipped.
        timeout_s: how long they may take together.
        waiting: called a few times a second with those that still run.
    """
    left = [leader for leader in leaders if members(leader)]
    for leader in left:
        process = leader.process()
        if process is not None:
            process.terminate()
    deadline = time.monotonic() + timeout_s
    running = [leader for leader in left if leader.process()]
    while running and time.monotonic() < deadline:
        if waiting:
            waiting(running)
        time.sleep(0.1)
        running = [leader for leader in running if leader.process()]
    for leader in left:
        kill_session(leader)


def recorded(state: Path) -> dict[str, Identity]:
    """The identities in a supervisor's state file, in the order of their start."""
    try:
        return {name: Identity(*pair) for name, pair in json.loads(state.read_text()).items()}
    except FileNotFoundError:
        return {}
