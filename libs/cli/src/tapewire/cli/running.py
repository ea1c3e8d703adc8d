"""`tapewire up` and `tapewire down`."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from tapewire.cli.board import Board
from tapewire.cli.console import Failure, err, out, print_json
from tapewire.cli.options import Json, RunDir, directory
from tapewire.fleet.journal import Entry, Kind, Reader
from tapewire.fleet.options import MOST_EDGES, Options
from tapewire.fleet.record import Engine, Fleet, NoFleet

FIRST_EVENTS = 10  # shown where nobody can press Ctrl-C, before the command returns
FIRST_EVENTS_S = 15.0

Edges = Annotated[
    int | None,
    typer.Option(
        "--edges",
        min=1,
        max=MOST_EDGES,
        help="Edges; 1 as processes, 2 in containers when left out.",
    ),
]
ChosenEngine = Annotated[
    Engine | None,
    typer.Option(
        "--engine",
        help="process: RabbitMQ and the services as local processes; compose: Docker Compose. "
        "When left out: process where RabbitMQ is installed, else compose where Docker answers.",
    ),
]
Demo = Annotated[
    bool, typer.Option("--demo/--no-demo", help="A simulated market and a strategy on it.")
]
Replay = Annotated[
    Path | None,
    typer.Option(
        "--replay",
        exists=True,
        dir_okay=False,
        help="Recorded prices, CSV or Parquet, instead of simulated ones. "
        "TAPEWIRE_MARKET_REPLAY_SPEED=60 plays an hour in a minute.",
    ),
]
Detach = Annotated[
    bool | None,
    typer.Option(
        "--detach/--attach",
        "-d/-a",
        help="Return when the fleet is up, or stay, show its events, and stop it on Ctrl-C. "
        "Stays when the output is a terminal.",
        show_default=False,
    ),
]


def up(
    edges: Edges = None,
    engine: ChosenEngine = None,
    demo: Demo = True,
    replay: Replay = None,
    detach: Detach = None,
    run_dir: RunDir = None,
    as_json: Json = False,
) -> None:
    """Start the fleet: broker, services, demo. `tapewire down` stops it.

    Says where everything is, and writes the same to `.run/fleet.json`.
    """
    from tapewire.fleet import compose, engines, launch

    console = err if as_json else out
    attach = not as_json and (not detach if detach is not None else out.is_terminal)
    # An attached fleet ends with this process, also when that is killed with its terminal.
    watch = os.getpid() if attach else None
    began = time.monotonic()
    where = directory(run_dir)
    try:
        compose.refuse_second(where)
        chosen = engines.choose(engine)
        edges = edges or (compose.EDGES if chosen == "compose" else 1)
        options = Options(where, edges=edges, demo=demo, replay=replay, watch=watch)
        if chosen == "compose":
            compose.start(options, quiet=as_json)
        else:
            _show_start(launch.start(options), console)
    except launch.AlreadyRunning:
        _already_running(where, as_json)
        return
    except KeyboardInterrupt:
        console.print("stopping …", style="yellow")
        _stop(where, console)
        raise typer.Exit(130) from None
    except (launch.LaunchFailed, engines.NoEngine, compose.ComposeFailed) as error:
        remedy = f"Logs: {where / 'logs'}. `tapewire doctor` looks for what is missing."
        raise Failure(str(error), remedy=remedy, as_json=as_json) from None
    fleet = Fleet.read(where)
    if as_json:
        print_json(fleet.model_dump(mode="json"))
        return
    console.print(f"Up in {time.monotonic() - began:.1f} s.\n")
    show_where(fleet, console)
    if attach:
        _attached(fleet)
    elif detach is None:
        _first_events(fleet)
        console.print("\nThe fleet goes on in the background. `tapewire down` stops it.")


def down(run_dir: RunDir = None, as_json: Json = False) -> None:
    """Stop the fleet; no process and no port of it is left."""
    console = err if as_json else out
    stopped = _stop(directory(run_dir), console)
    if as_json:
        print_json({"stopped": stopped})
    elif not stopped:
        console.print("No fleet runs here.")


def show_where(fleet: Fleet, console: Console) -> None:
    """Prints the addresses of a fleet."""
    rows = {
        "Dashboard": fleet.urls.dashboard,
        "Socket": ", ".join(f"{url.replace('http', 'ws', 1)}/ws" for url in fleet.urls.edge),
        "Events": f"{fleet.urls.ingest}/v1/events",
        "Broker": fleet.amqp.rpartition("@")[2].join(("amqp://…@", "")),
        "Record": str(fleet.run_dir / "fleet.json"),
        "Logs": str(fleet.logs) if fleet.engine == "process" else "docker compose logs",
    }
    for name, value in rows.items():
        console.print(Text().append(f"  {name:<10}", "dim").append(value))


def _already_running(run_dir: Path, as_json: bool) -> None:
    try:
        fleet = Fleet.read(run_dir)
    except NoFleet:
        remedy = "Wait for it, or stop it with `tapewire down`."
        message = "a fleet is starting or stopping here; nothing was started"
        raise Failure(message, remedy=remedy, as_json=as_json) from None
    if as_json:
        print_json(fleet.model_dump(mode="json"))
        return
    out.print("The fleet is already running; nothing was started.\n", style="yellow")
    show_where(fleet, out)
    out.print("\n`tapewire tail` shows its events, `tapewire down` stops it.")


@dataclass
class _Progress:
    """Entries as lines: what starts, what is ready, what went wrong."""

    console: Console

    def show(self, entry: Entry) -> None:
        """Prints an entry of the journal that a person waits for."""
        marks = {
            Kind.READY: ("✓", "green"),
            Kind.DIED: ("✗", "red"),
            Kind.KILLED: ("✗", "red"),
            Kind.STOPPED: ("✓", "dim"),
        }
        if entry.kind is Kind.NOTE and not entry.name:
            return
        if entry.kind in marks and entry.name:
            mark, style = marks[entry.kind]
            line = Text().append(f"  {mark} ", style).append(f"{entry.name:<12}")
            words = "" if entry.kind is Kind.READY else f"{entry.kind} "
            self.console.print(line.append(f"{words}{entry.detail}".rstrip(), style="dim"))
        elif entry.kind is Kind.NOTE:
            self.console.print(f"  ! {entry.name}: {entry.detail}", style="yellow", markup=False)


def _show_start(entries: Iterator[Entry], console: Console) -> None:
    """Shows a start as it goes: what is ready as lines, what is awaited in the last one."""
    progress, awaited = _Progress(console), list[str]()
    console.print("Starting the fleet …")
    with console.status("") as status:
        for entry in entries:
            if entry.kind is Kind.STARTING and entry.name not in awaited:
                awaited.append(entry.name)
            if entry.kind is Kind.READY and entry.name in awaited:
                awaited.remove(entry.name)
            status.update(f"[dim]waiting for {', '.join(awaited)}[/]" if awaited else "")
            progress.show(entry)


def _stop(run_dir: Path, console: Console) -> bool:
    """Stops whatever runs on this directory; whether anything did."""
    from tapewire.fleet import compose, launch

    progress, stopped = _Progress(console), False
    with contextlib.suppress(NoFleet):
        if Fleet.read(run_dir).engine == "compose":
            compose.stop(run_dir)
            return True
    for entry in launch.stop(run_dir):
        if not stopped:
            console.print("Stopping the fleet …")
        stopped = True
        progress.show(entry)
    return stopped


def _first_events(fleet: Fleet) -> None:
    """Shows the demo's first events, so that a log of this command proves that they flow."""
    if not fleet.demo:
        return
    from tapewire.cli.tail import make_client, watch

    out.print("\nFirst events:")

    async def show() -> None:
        with Board(out) as board, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_EVENTS_S):
                client = make_client(fleet, "alice")
                await watch(client, board.show, board=board, limit=FIRST_EVENTS)

    asyncio.run(show())


def _attached(fleet: Fleet) -> None:
    """Shows events and restarts until Ctrl-C, then stops the fleet."""
    from tapewire.cli.tail import make_client, watch

    out.print(
        "\nEvents of alice. Ctrl-C stops the fleet.\n" if fleet.demo else "\nCtrl-C stops it."
    )

    async def show() -> bool:
        """Whether we are to stop the fleet: not when somebody else did."""
        leave = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            loop.add_signal_handler(number, leave.set)
        with Board(out) as board:
            client = make_client(fleet, "alice")
            following = asyncio.create_task(_follow(fleet, board, leave))
            await watch(client, board.show, board=board, until=leave)
            following.cancel()
        return (fleet.run_dir / "fleet.json").exists()

    if asyncio.run(show()):
        _stop(fleet.run_dir, out)
    else:
        out.print("The fleet was stopped.")


async def _follow(fleet: Fleet, board: Board, leave: asyncio.Event) -> None:
    """Tells of deaths and restarts; leaves when the fleet is gone."""
    reader = Reader.at_end(fleet.run_dir / "journal.jsonl")
    while (fleet.run_dir / "fleet.json").exists():
        for entry in reader.new():
            if entry.kind is Kind.DIED:
                board.note(f"{entry.name} {entry.detail}", "red")
            elif entry.kind is Kind.READY:
                board.note(f"{entry.name} is back {entry.detail}", "green")
        await asyncio.sleep(0.2)
    leave.set()
