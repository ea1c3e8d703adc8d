"""`tapewire doctor`: what is installed, reachable, declared; what to do about the rest."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import typer

from tapewire.cli.console import out, print_json
from tapewire.cli.options import Json, RunDir, directory
from tapewire.fleet import engines
from tapewire.fleet.installation import Installation
from tapewire.fleet.lock import is_held
from tapewire.fleet.ports import DEFAULT_PORTS, is_free
from tapewire.fleet.record import Fleet, NoFleet, project_root

PYTHONS = ((3, 11), (3, 14))  # from, and below
ROOM_BYTES = 500 * 1024 * 1024  # logs, SQLite and the broker's data of a day's demo
BROKER_TIMEOUT_S = 5.0


class Verdict(StrEnum):
    """How a finding is to be read."""

    OK = "ok"
    NOTE = "note"  # nothing is missing for what most people do
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what to do about it."""

    subject: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def doctor(run_dir: RunDir = None, as_json: Json = False) -> None:
    """Look at what the fleet needs, and at the fleet if one runs.

    Exit code 0 when nothing is wrong, 1 when something is.
    """
    where = directory(run_dir)
    findings = [*installed(), *_room(where)]
    try:
        fleet = Fleet.read(where)
    except NoFleet as error:
        findings += [*_left_over(where, str(error)), *_ports()]
    else:
        findings += asyncio.run(running(fleet))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            _show(finding)
    if any(finding.verdict is Verdict.WRONG for finding in findings):
        raise typer.Exit(1)


def installed() -> Iterator[Finding]:
    """What the machine has."""
    version, detail = sys.version_info[:2], sys.version.split()[0]
    fits = PYTHONS[0] <= version < PYTHONS[1]
    remedy = "" if fits else "Use Python 3.11, 3.12 or 3.13."
    yield Finding("Python", Verdict.OK if fits else Verdict.WRONG, detail, remedy)
    broker, docker = Installation.find(), engines.docker_missing()
    neither = broker is None and docker is not None
    lacking = Verdict.WRONG if neither else Verdict.NOTE
    if broker:
        yield Finding("RabbitMQ", Verdict.OK, str(broker.server))
    else:
        remedy = f"{engines.INSTALL_BY_HAND} `make demo` does it where it may."
        yield Finding("RabbitMQ", lacking, "not installed", remedy)
    if docker is None:
        yield Finding("Docker", Verdict.OK, "engine and compose answer")
    else:
        yield Finding("Docker", lacking, docker, "Needed for `--engine compose` only.")
    root = project_root()
    if root is not None:
        yield _dashboard(root)


def _dashboard(root: Path) -> Finding:
    """Whether the dashboard is built, or can be."""
    if (root / "services" / "dashboard" / "dist" / "index.html").exists():
        return Finding("Dashboard", Verdict.OK, "built")
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
        detail = f"not built; Node.js {done.stdout.strip()} is there"
        return Finding("Dashboard", Verdict.NOTE, detail, "`make dashboard` builds it.")
    remedy = "Install Node.js 20.19 or later, then `make dashboard`. The fleet runs without it."
    return Finding("Dashboard", Verdict.NOTE, "not built, and there is no Node.js", remedy)


def _room(run_dir: Path) -> Iterator[Finding]:
    """Whether the run directory can be written, and has room."""
    place = run_dir
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK):
        remedy = "Choose another with --run-dir or TAPEWIRE_RUN_DIR."
        yield Finding("Run directory", Verdict.WRONG, f"{place} cannot be written", remedy)
        return
    free = shutil.disk_usage(place).free
    verdict = Verdict.OK if free >= ROOM_BYTES else Verdict.WRONG
    remedy = "" if free >= ROOM_BYTES else "RabbitMQ stops publishers when the disk is full."
    yield Finding("Run directory", verdict, f"{run_dir}, {free / 1e9:.1f} GB free", remedy)


def _left_over(run_dir: Path, words: str) -> Iterator[Finding]:
    """What there is to say of a fleet that is not recorded."""
    if (run_dir / "lock").exists() and is_held(run_dir):
        yield Finding("Fleet", Verdict.NOTE, "starting or stopping", "Ask again in a moment.")
    else:
        yield Finding("Fleet", Verdict.NOTE, words, "Start it with `tapewire up` or `make demo`.")


def _ports() -> Iterator[Finding]:
    """Default ports that somebody else has."""
    taken = [port for port in DEFAULT_PORTS.values() if not is_free(port)]
    if taken:
        detail = f"taken by other programs: {', '.join(map(str, taken))}"
        yield Finding("Ports", Verdict.NOTE, detail, "`tapewire up` takes others instead.")
    else:
        yield Finding("Ports", Verdict.OK, "8080 to 8085 are free")


async def running(fleet: Fleet) -> list[Finding]:
    """What the running fleet's services and broker say."""
    from tapewire.cli.status import look

    found: list[Finding] = []
    for row in await look(fleet):
        log = fleet.logs / f"{row['name']}.log"
        problems = "; ".join(f"{name}: {why}" for name, why in row["problems"].items())
        verdict = Verdict.OK if row["ready"] else Verdict.WRONG
        remedy = "" if row["ready"] else f"Its log: {log}"
        found.append(Finding(row["name"], verdict, problems or f"ready at {row['url']}", remedy))
    return found + await declared(fleet.amqp)


async def declared(amqp: str) -> list[Finding]:
    """Whether the broker answers, and has the exchanges and queues that services share."""
    import aio_pika
    from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity

    from tapewire.broker import topology

    try:
        connection = await aio_pika.connect(amqp, timeout=BROKER_TIMEOUT_S)
    except (AMQPError, OSError, TimeoutError) as error:
        remedy = "The supervisor starts it again by itself; `tapewire status` in a moment."
        return [Finding("Broker", Verdict.WRONG, f"{type(error).__name__}: {error}", remedy)]
    missing: list[str] = []
    async with connection:
        for name in (exchange.name for exchange in topology.EXCHANGES):
            channel = await connection.channel()
            try:
                await channel.get_exchange(name, ensure=True)
                await channel.close()
            except ChannelNotFoundEntity:  # the broker closes the AMQP channel itself
                missing.append(name)
        for name in (queue.name for queue in topology.SERVICE_QUEUES):
            channel = await connection.channel()
            try:
                await channel.get_queue(name, ensure=True)
                await channel.close()
            except ChannelNotFoundEntity:
                missing.append(name)
    if missing:
        remedy = "Each service declares its own when it starts; restart with down and up."
        detail = f"not declared: {', '.join(missing)}"
        return [Finding("Broker", Verdict.WRONG, detail, remedy)]
    count = len(topology.EXCHANGES) + len(topology.SERVICE_QUEUES)
    return [Finding("Broker", Verdict.OK, f"answers; {count} exchanges and queues are declared")]


MARKS = {Verdict.OK: "[green]✓[/]", Verdict.NOTE: "[yellow]·[/]", Verdict.WRONG: "[red]✗[/]"}


def _show(finding: Finding) -> None:
    out.print(f" {MARKS[finding.verdict]} ", end="")
    out.print(f"{finding.subject:<14} {finding.detail}", markup=False)
    if finding.remedy:
        out.print(f"   {'':<14} {finding.remedy}", style="dim", markup=False)
