"""`tapewire inbox`: what waits for whom, and since when. Looking takes nothing away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from tapewire.broker.topology import INBOX_WINDOW
from tapewire.cli import inboxes, inspection
from tapewire.cli.console import Failure, out, print_json
from tapewire.cli.holders import ask_holders
from tapewire.cli.inboxes import Alert, Inbox
from tapewire.cli.lines import line
from tapewire.cli.options import Json, RunDir, the_fleet

app = typer.Typer(no_args_is_help=True, help="Look at what waits for whom. Takes nothing away.")

Users = Annotated[
    list[str] | None, typer.Argument(metavar="[USER]...", help="Whose; everybody's when left out.")
]
User = Annotated[str, typer.Argument(help="Whose inbox.")]
Client = Annotated[
    str | None,
    typer.Option("--client", "-c", help="A program's own inbox (`inbox=own`), by its clientId."),
]
Limit = Annotated[
    int,
    typer.Option("--limit", "-n", min=1, max=INBOX_WINDOW, help="At most so many, oldest first."),
]
All = Annotated[bool, typer.Option("--all", "-a", help="Empty ones as well.")]
Amqp = Annotated[
    str | None,
    typer.Option(
        "--amqp",
        envvar="TAPEWIRE_INSPECTOR_URL",
        help="The broker, as its user `inspector`; the running fleet's when left out.",
    ),
]
Management = Annotated[
    str | None,
    typer.Option(
        "--management",
        envvar="TAPEWIRE_MANAGEMENT_URL",
        help="The broker's management API, http://…; with --amqp.",
    ),
]


@app.command("ls")
def ls(
    users: Users = None,
    empty: All = False,
    amqp: Amqp = None,
    management: Management = None,
    run_dir: RunDir = None,
    as_json: Json = False,
) -> None:
    """List inboxes: what waits, what is on a screen, which edge holds it, the oldest's age.

    The oldest unacknowledged first. Exit code 0 also when alerts wait.
    """
    try:
        amqp, management = where(amqp, management, run_dir)
        found = asyncio.run(listed(amqp, management, users or []))
    except Failure as failure:
        failure.as_json = as_json
        raise
    shown = [one for one in found if empty or one.ready or one.unacked != 0]
    now = datetime.now(UTC)
    if as_json:
        print_json([one.as_json(now) for one in shown])
        return
    if not shown:
        out.print("Nothing waits: every inbox is empty." if found else "There is no inbox.")
        return
    out.print(_table(shown, now))


@app.command("peek")
def peek(
    user: User,
    client: Client = None,
    limit: Limit = 20,
    amqp: Amqp = None,
    run_dir: RunDir = None,
    as_json: Json = False,
) -> None:
    """Show the messages of an inbox, oldest first, and leave them there.

    `shown`: on a screen, unacknowledged. `waiting`: for somebody to come.
    """
    try:
        amqp, _ = where(amqp, "", run_dir)
        box, alerts = asyncio.run(peeked(amqp, user, client, limit))
    except Failure as failure:
        failure.as_json = as_json
        raise
    now = datetime.now(UTC)
    if as_json:
        print_json({**box.as_json(now), "messages": [alert.as_json(now) for alert in alerts]})
        return
    for alert in alerts:
        state = "[yellow]shown  [/]" if alert.shown else "[cyan]waiting[/]"
        out.print(f"{age(inboxes.age_s(alert.at, now)):>8}  {state}  ", end="")
        out.print(_line(inboxes.parsed(alert.body)))
    out.print(_summary(box, len(alerts)), style="dim", markup=False)


def where(amqp: str | None, management: str | None, run_dir: Path | None) -> tuple[str, str]:
    """The broker's AMQP URL and its management API: as given, else the running fleet's.

    Raises:
        Failure: none is given, and no fleet runs.
    """
    if amqp is None:
        fleet = the_fleet(run_dir)
        return fleet.inspector, management or fleet.management
    return amqp, management or ""


async def listed(amqp: str, management: str, users: Sequence[str]) -> list[Inbox]:
    """The inboxes of some users, or of all; the longest unacknowledged first."""
    if users:
        queues = [inboxes.named(user, None) for user in users]
        if management:
            words = {queue + "." for queue in queues}
            every = await inspection.names(management, amqp)
            queues += [name for name in every if any(map(name.startswith, words))]
    elif not management:
        raise Failure(
            "AMQP cannot list queues", remedy="Name users, or give --management http://…:15672."
        )
    else:
        queues = await inspection.names(management, amqp)
    async with inspection.connected(amqp) as connection:
        found = await inspection.counted(connection, queues)
        await ask_holders(connection, found)
        await inspection.first_of_each(connection, found)
    never = datetime.max.replace(tzinfo=UTC)
    return sorted(found, key=lambda one: (one.oldest or never, one.queue))


async def peeked(amqp: str, user: str, client: str | None, limit: int) -> tuple[Inbox, list[Alert]]:
    """An inbox and its first messages.

    Raises:
        Failure: there is no such inbox, or whoever holds it does not say what it holds.
    """
    queue = inboxes.named(user, client)
    async with inspection.connected(amqp) as connection:
        found = await inspection.counted(connection, [queue])
        if not found:
            if client is None:
                whose, opened = user, "with their first critical alert, or when they first connect"
            else:
                whose, opened = (
                    f"{user}'s program {client}",
                    "when it first connects with inbox=own",
                )
            raise Failure(f"{whose} has no inbox", remedy=f"One is opened {opened}.", code=4)
        box = found[0]
        await ask_holders(connection, found)
        if box.consumers and box.unacked is None:
            raise Failure(
                f"{queue} is open somewhere that does not say what it shows",
                remedy="Another look at it may be under way; or its edge hangs: it is given up "
                "by the broker within half a minute. Ask again.",
            )
        if box.consumers:
            return box, box.shown[:limit]
        alerts = (await inspection.look(connection, [box], each=limit))[queue]
        box.oldest = alerts[0].at if alerts else None
        if len(alerts) < min(limit, box.ready):  # an edge opened it before we did
            found = await inspection.counted(connection, [queue])
            await ask_holders(connection, found)
            return found[0], found[0].shown[:limit]
        return box, alerts


def _line(message: Any) -> Text:
    """A message as `tapewire tail` shows it; what is none, as it is."""
    try:
        return line(message)
    except (KeyError, TypeError):
        return Text(str(message))


def _table(found: Sequence[Inbox], now: datetime) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("user")
    table.add_column("program")
    for name in ("waiting", "shown"):
        table.add_column(name, justify="right")
    table.add_column("held by")
    table.add_column("oldest", justify="right")
    for one in found:
        table.add_row(
            one.user or one.queue,
            one.client or "",
            str(one.ready),
            "?" if one.unacked is None else str(one.unacked),
            one.holder or (f"{one.consumers} edge(s)" if one.consumers else "nobody"),
            age(inboxes.age_s(one.oldest, now)),
        )
    return table


def _summary(box: Inbox, shown: int) -> str:
    if not shown and not box.ready:
        return "The inbox is empty."
    by = f"on the screen by {box.holder}" if box.holder else "on a screen"
    held = f", {box.unacked} {by}" if box.unacked else ""
    return f"{box.ready} waiting{held}; {shown} shown here, all still there."


def age(seconds: float | None) -> str:
    """Two units at most: `3 d 4 h`, `12 min`, `8 s`."""
    if seconds is None:
        return ""
    parts: list[str] = []
    left = int(seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
        if len(parts) == 2:
            break
    return " ".join(parts)
