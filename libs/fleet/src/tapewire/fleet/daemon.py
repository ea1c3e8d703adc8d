"""`python -m tapewire.fleet.daemon RUN_DIR`: the supervisor of a fleet, started by `tapewire up`.

Holds the lock of the run directory as long as it lives.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from tapewire.fleet.journal import Journal, Kind
from tapewire.fleet.keyring import Keyring
from tapewire.fleet.lock import EXIT_BUSY, Busy, lock
from tapewire.fleet.options import MOST_EDGES, Options
from tapewire.fleet.ports import Claims, NoFreePort
from tapewire.fleet.processes import Identity
from tapewire.fleet.programs import Plan, plan
from tapewire.fleet.rabbitmq import BrokerFailed
from tapewire.fleet.record import FLEET_FILE, Fleet
from tapewire.fleet.supervisor import StartFailed, Supervisor

WATCH_INTERVAL_S = 0.5
EXIT_FAILED = 1


def main(argv: list[str] | None = None) -> int:
    """Runs a fleet until SIGTERM; 0 when it ended as told, 1 when it did not come up."""
    parser = argparse.ArgumentParser(prog="python -m tapewire.fleet.daemon")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--edges", type=int, default=1, choices=range(1, MOST_EDGES + 1))
    parser.add_argument("--no-demo", action="store_true")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="recorded prices")
    parser.add_argument("--watch", type=int, metavar="PID", help="end when this process is gone")
    arguments = parser.parse_args(argv)
    options = Options(
        arguments.run_dir.resolve(),
        edges=arguments.edges,
        demo=not arguments.no_demo,
        replay=arguments.replay,
        watch=arguments.watch,
    )
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal that started it may close
    try:
        with lock(options.run_dir):
            return asyncio.run(_run(options))
    except Busy as error:
        print(error, file=sys.stderr)
        return EXIT_BUSY


async def _run(options: Options) -> int:
    for directory in (options.logs, options.run_dir / "data", options.held):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in options.held.iterdir():  # holds of an earlier run
        name.unlink()
    journal = Journal(options.journal)
    journal.say(Kind.NOTE, detail=str(os.getpid()), now=datetime.now(UTC))
    try:
        claims = Claims()  # held until this process ends
        made = plan(options, Keyring.open(options.run_dir / "keyring.json"), claims)
        supervisor = Supervisor(
            made.stages,
            logs=options.logs,
            state=options.state,
            held=options.held,
            journal=journal,
            on_change=lambda pids: _record(options, made, pids, started_at),
        )
        started_at = datetime.now(UTC)
        if options.watch:
            watching = asyncio.create_task(_watch(options.watch))
            watching.add_done_callback(lambda _: supervisor.stop())
        await supervisor.run()
    except (StartFailed, BrokerFailed, NoFreePort) as error:
        journal.say(Kind.FAILED, detail=str(error), now=datetime.now(UTC))
        return EXIT_FAILED
    finally:
        (options.run_dir / FLEET_FILE).unlink(missing_ok=True)
    journal.say(Kind.DOWN, now=datetime.now(UTC))
    return 0


async def _watch(pid: int) -> None:
    """Returns when the process `pid` is gone."""
    watched = Identity.of(pid)
    while watched and watched.process():  # noqa: ASYNC110 - not a child: only its absence tells
        await asyncio.sleep(WATCH_INTERVAL_S)


def _record(options: Options, made: Plan, pids: dict[str, int], started_at: datetime) -> None:
    Fleet(
        engine="process",
        amqp=made.amqp,
        inspector=made.inspector,
        management=made.management,
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
