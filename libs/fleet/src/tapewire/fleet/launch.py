"""Starting and stopping the supervisor from outside; also what a killed one left behind."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tapewire.fleet import processes
from tapewire.fleet.journal import Entry, Kind, Reader
from tapewire.fleet.lock import EXIT_BUSY, is_held_by_the_living
from tapewire.fleet.options import Options
from tapewire.fleet.processes import Identity, recorded
from tapewire.fleet.record import FLEET_FILE

POLL_S = 0.05
STOP_TIMEOUT_S = 190.0  # three stages of 60 s each, and a little
REAP_TIMEOUT_S = 3.0
SUPERVISOR = "supervisor"


class AlreadyRunning(RuntimeError):
    """A fleet runs, starts or stops in this run directory; nothing was started."""


class LaunchFailed(RuntimeError):
    """The fleet did not come up; nothing of it is left running."""


def start(options: Options) -> Iterator[Entry]:
    """Starts a fleet that outlives this process; yields what happens until it is up.

    Raises:
        AlreadyRunning: nothing was started.
        LaunchFailed: with the reason, and the end of the log that shows it.
    """
    options.run_dir.mkdir(parents=True, exist_ok=True)
    if is_held_by_the_living(options.run_dir):
        raise AlreadyRunning(str(options.run_dir))
    yield from _end_leftovers(options.run_dir)
    options.logs.mkdir(exist_ok=True, mode=0o700)
    command = [sys.executable, "-m", "tapewire.fleet.daemon", str(options.run_dir)]
    command += ["--edges", str(options.edges), *([] if options.demo else ["--no-demo"])]
    command += ["--replay", str(options.replay.resolve())] if options.replay else []
    command += ["--watch", str(options.watch)] if options.watch else []
    log_path = options.logs / f"{SUPERVISOR}.log"
    with log_path.open("wb") as log:
        daemon = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=options.run_dir,
            start_new_session=True,
        )
    try:
        yield from _until_up(daemon, Reader(options.journal), log_path)
    finally:
        daemon.poll()
        daemon.returncode = daemon.returncode or 0  # it is meant to outlive us: no warning


def _until_up(daemon: subprocess.Popen[bytes], reader: Reader, log: Path) -> Iterator[Entry]:
    ours = False  # an older run's journal stays until the supervisor replaces it
    while True:
        ended = daemon.poll()
        for entry in reader.new() if ours else ():
            yield entry
            if entry.kind is Kind.UP:
                return
            if entry.kind is Kind.FAILED:
                daemon.wait()
                raise LaunchFailed(entry.detail)
        if not ours:
            first = next(Reader(reader.path).new(), None)
            ours = first is not None and first.detail == str(daemon.pid)
        elif ended is not None:
            raise LaunchFailed(f"stopped while it was starting (code {ended})")
        if ended == EXIT_BUSY:
            raise AlreadyRunning(str(log.parent.parent))
        if ended is not None and not ours:
            raise LaunchFailed(f"the supervisor ended with code {ended}:\n{log.read_text()}")
        time.sleep(POLL_S)


def stop(run_dir: Path) -> Iterator[Entry]:
    """Stops the fleet of this directory, also one whose supervisor was killed.

    Yields what happens; nothing when nothing ran. Afterwards no process of it is left.
    """
    state = run_dir / "processes.json"
    journal = run_dir / "journal.jsonl"
    before = recorded(state)
    supervisor = before.get(SUPERVISOR)
    if supervisor is not None and (process := supervisor.process()):
        reader = Reader.at_end(journal)
        process.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while supervisor.process() and time.monotonic() < deadline:
            yield from reader.new()
            time.sleep(POLL_S)
        yield from reader.new()
        processes.kill_session(supervisor)
        _wait_reaped(supervisor)
    yield from _end_leftovers(run_dir, before)


def _wait_reaped(leader: Identity) -> None:
    """Waits until init has taken a dead process off the list; some take their time."""
    deadline = time.monotonic() + REAP_TIMEOUT_S
    while Identity.of(leader.pid) == leader and time.monotonic() < deadline:
        time.sleep(POLL_S)


def _end_leftovers(run_dir: Path, known: dict[str, Identity] | None = None) -> Iterator[Entry]:
    """Ends recorded programs that no supervisor looks after any more, and forgets them."""
    found = (known or {}) | recorded(run_dir / "processes.json")
    found.pop(SUPERVISOR, None)
    for name, leader in reversed(found.items()):
        if processes.members(leader):
            yield Entry(
                "", Kind.NOTE, name, f"left over from a killed supervisor: pid {leader.pid}"
            )
            processes.end([leader], timeout_s=30.0)
            yield Entry("", Kind.STOPPED, name)
    for leftover in ("processes.json", FLEET_FILE):
        (run_dir / leftover).unlink(missing_ok=True)
