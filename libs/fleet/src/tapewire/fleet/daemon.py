"""`python -m tapewire.fleet.daemon RUN_DIR`: the supervisor of a fleet, started by `tapewire up`.

Holds the lock of the run directory as long as it lives, however it ends: that lock, not a pid
in a file, says whether a fleet runs.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tapewire.fleet.journal import Journal, Kind
from tapewire.fleet.keyring import Keyring
from tapewire.fleet.options import MOST_EDGES, Options
from tapewire.fleet.ports import Claims, NoFreePort
from tapewire.fleet.programs import Plan, plan
from tapewire.fleet.rabbitmq import BrokerFailed
from tapewire.fleet.record import FLEET_FILE, Fleet
from tapewire.fleet.supervisor import StartFailed, Supervisor

LOCK_FILE = "lock"
EXIT_FAILED = 1
EXIT_BUSY = 75  # EX_TEMPFAIL: another supervisor holds the run directory


class Busy(RuntimeError):
    """Another supervisor holds the run directory."""


@contextmanager
def lock(run_dir: Path) -> Generator[None]:
    """Holds the run directory's lock; the kernel lets go of it when the process ends.

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


def main(argv: list[str] | None = None) -> int:
    """Runs a fleet until SIGTERM; 0 when it ended as told, 1 when it did not come up."""
    parser = argparse.ArgumentParser(prog="python -m tapewire.fleet.daemon")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--edges", type=int, default=1, choices=range(1, MOST_EDGES + 1))
    parser.add_argument("--no-demo", action="store_true")
    arguments = parser.parse_args(argv)
    options = Options(arguments.run_dir.resolve(), arguments.edges, not arguments.no_demo)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal that started it may close
    try:
        with lock(options.run_dir):
            return asyncio.run(_run(options))
    except Busy as error:
        print(error, file=sys.stderr)
        return EXIT_BUSY


async def _run(options: Options) -> int:
    for directory in (options.logs, options.run_dir / "data"):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    journal = Journal(options.journal)
    journal.say(Kind.NOTE, detail=str(os.getpid()), now=datetime.now(UTC))
    try:
        claims = Claims()  # held until this process ends
        made = plan(options, Keyring.open(options.run_dir / "keyring.json"), claims)
        supervisor = Supervisor(
            made.stages,
            logs=options.logs,
            state=options.state,
            journal=journal,
            on_change=lambda pids: _record(options, made, pids, started_at),
        )
        started_at = datetime.now(UTC)
        await supervisor.run()
    except (StartFailed, BrokerFailed, NoFreePort) as error:
        journal.say(Kind.FAILED, detail=str(error), now=datetime.now(UTC))
        return EXIT_FAILED
    finally:
        (options.run_dir / FLEET_FILE).unlink(missing_ok=True)
    journal.say(Kind.DOWN, now=datetime.now(UTC))
    return 0


def _record(options: Options, made: Plan, pids: dict[str, int], started_at: datetime) -> None:
    Fleet(
        engine="process",
        amqp=made.amqp,
        urls=made.urls,
        pids=pids,
        jwt_secret=made.jwt_secret,
        run_dir=options.run_dir,
        logs=options.logs,
        demo=options.demo,
        started_at=started_at,
    ).write()


if __name__ == "__main__":
    sys.exit(main())
