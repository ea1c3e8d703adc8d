"""`tapewire rejected`: events that were refused, why, and another try."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from tapewire.cli import rejections
from tapewire.cli.console import Failure, err, out, print_json
from tapewire.cli.inbox import Amqp, where
from tapewire.cli.inboxes import parsed
from tapewire.cli.inspection import connected
from tapewire.cli.options import Json, RunDir
from tapewire.cli.rejections import Rejection, Replayed

app = typer.Typer(no_args_is_help=True, help="Events that were refused: why, and another try.")

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, oldest first.")]
Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Which, as `ls` names them.")
]
All = Annotated[bool, typer.Option("--all", help="All that wait now.")]
EVENT_SHOWN = 160  # characters of an event on a terminal; --json shows all


@app.command("ls")
def ls(limit: Limit = 50, amqp: Amqp = None, run_dir: RunDir = None, as_json: Json = False) -> None:
    """List refused events with the reason, the fields at fault and the producer.

    They stay. Producers over HTTP are told at once, so theirs are not here.
    """
    try:
        amqp, _ = where(amqp, "", run_dir)
        found, waiting = asyncio.run(_listed(amqp, limit))
    except Failure as failure:
        failure.as_json = as_json
        raise
    if as_json:
        print_json([rejection.as_json() for rejection in found])
        return
    for rejection in found:
        _show(rejection)
    more = f"; the oldest {len(found)} are shown" if len(found) < waiting else ""
    out.print(f"{waiting} rejected{more}." if waiting else "Nothing was rejected.", style="dim")


@app.command("replay")
def replay(
    ids: Ids = None,
    everything: All = False,
    amqp: Amqp = None,
    run_dir: RunDir = None,
    as_json: Json = False,
) -> None:
    """Publish refused events once more, as they are, and say what became of each.

    Of use when the fleet has learnt what it did not know. To mend an event, take it from
    `ls --json` and publish it. One that is refused again is in the list again. Exit code 1 if
    any was.
    """
    if bool(ids) == everything:
        raise typer.BadParameter("name ids, or --all")
    try:
        amqp, _ = where(amqp, "", run_dir)
        replayed, cut = asyncio.run(_replayed(amqp, ids))
    except Failure as failure:
        failure.as_json = as_json
        raise
    for one in replayed:
        _tell(one, as_json)
    for rejection in cut:
        result: dict[str, Any] = {"id": rejection.id, "status": "too_large", "errors": []}
        if as_json:
            print_json(result)
        else:
            err.print(f"[red]too large[/] {rejection.id}: only its beginning was kept; it stays")
    counts = Counter(one.status for one in replayed)
    if not as_json:
        told = ", ".join(f"{count} {status}" for status, count in counts.items())
        out.print(told or "Nothing to replay.", style="dim")
    if cut or counts["rejected"]:
        raise typer.Exit(1)


async def _listed(amqp: str, limit: int) -> tuple[list[Rejection], int]:
    async with connected(amqp) as connection, rejections.taken(connection, limit) as taken:
        return taken.rejections, taken.waiting


async def _replayed(amqp: str, ids: Sequence[str] | None) -> tuple[list[Replayed], list[Rejection]]:
    """What was replayed, and what could not be since it was too large to be kept whole.

    Raises:
        Failure: an id is not there; then nothing is replayed.
    """
    async with connected(amqp) as connection, rejections.taken(connection, None) as taken:
        there = {rejection.id for rejection in taken.rejections}
        chosen = there if ids is None else set(ids)
        if missing := sorted(chosen - there):
            raise Failure(
                f"not in the queue: {', '.join(missing)}",
                remedy="Nothing was replayed. `tapewire rejected ls` lists what is there.",
                code=4,
            )
        replayed = await taken.replay(chosen)
        cut = [one for one in taken.rejections if one.id in chosen and one.cut]
        return replayed, cut


def _show(rejection: Rejection) -> None:
    when = f"{rejection.received_at:%Y-%m-%d %H:%M:%S}" if rejection.received_at else ""
    out.print(f"[bold]{rejection.id}[/]  {when}  [red]{rejection.reason}[/]  ", end="")
    out.print(f"from {rejection.producer or 'an unnamed producer'}", markup=False)
    _fields(rejection.errors)
    event = parsed(rejection.body)
    text = event if isinstance(event, str) else rejection.body.decode(errors="replace")
    shown = text if len(text) <= EVENT_SHOWN else text[:EVENT_SHOWN] + " …"
    out.print("  ", shown, style="dim", sep="", markup=False)


def _fields(errors: Sequence[Mapping[str, Any]]) -> None:
    for each in errors:
        where_ = f"{each['field']}: " if each.get("field") else ""
        out.print("  ", where_, each.get("message", ""), sep="", markup=False)


def _tell(one: Replayed, as_json: bool) -> None:
    if as_json:
        result = {"id": one.rejection.id, "status": one.status, "errors": list(one.errors)}
        print_json(result)
        return
    colour = "red" if one.status == "rejected" else "green"
    out.print(f"[{colour}]{one.status}[/] {one.rejection.id}")
    _fields(one.errors)
