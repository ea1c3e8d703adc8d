"""`tapewire publish`: events from an argument, a file or standard input."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from tapewire.cli.console import Failure, err, out, print_json
from tapewire.cli.options import Json, RunDir, the_fleet

PRODUCER_SCOPES = ("events:write", "notices:write")
TOKEN_TTL_S = 3600

EventText = Annotated[
    str | None,
    typer.Argument(metavar="[EVENT]", help="One event as JSON; `-` or nothing reads NDJSON."),
]
EventFile = Annotated[
    Path | None,
    typer.Option("--file", "-f", exists=True, dir_okay=False, help="A file of JSON or NDJSON."),
]
OverHttp = Annotated[bool, typer.Option("--http", help="Post to ingest instead of AMQP.")]
Target = Annotated[
    str | None,
    typer.Option("--to", help="amqp://… or ingest's http://…; the running fleet when left out."),
]
GivenToken = Annotated[
    str | None,
    typer.Option("--token", envvar="TAPEWIRE_TOKEN", help="For --to http://…"),
]


def publish(
    event: EventText = None,
    file: EventFile = None,
    http: OverHttp = False,
    to: Target = None,
    token: GivenToken = None,
    run_dir: RunDir = None,
    as_json: Json = False,
) -> None:
    """Publish events and say of each whether the broker has it.

    `tapewire publish '{"type":"system_notification","userId":"alice","level":"info",
    "category":"system","title":"Hello","message":"From the command line"}'`

    A wrong event is told with its field; the others are published. Exit code 1 if any failed.
    """
    if event not in (None, "-") and file:
        raise typer.BadParameter("give an event or --file, not both")
    if event is None and file is None and sys.stdin.isatty():
        raise typer.BadParameter("nothing to publish: give an event, --file, or pipe NDJSON in")
    url, bearer = _where(to, token, http, run_dir, as_json)
    counts = asyncio.run(_publish_all(_texts(event, file), url, bearer, as_json))
    if not as_json and counts.total() > 1:
        out.print(", ".join(f"{count} {status}" for status, count in counts.items()))
    if set(counts) - {"confirmed"}:
        raise typer.Exit(1)


def _where(
    to: str | None, token: str | None, http: bool, run_dir: Path | None, as_json: bool
) -> tuple[str, str | None]:
    """The URL to publish to, and the token that goes with an HTTP one."""
    from tapewire.auth import mint

    if to is not None:
        if to.startswith("http") and not token:
            raise Failure("--to http://… needs --token or TAPEWIRE_TOKEN", as_json=as_json)
        return to, token
    fleet = the_fleet(run_dir, as_json=as_json)
    if not http:
        return fleet.amqp, None
    user = os.environ.get("USER", "operator")
    own = mint(fleet.jwt_secret, user, scopes=PRODUCER_SCOPES, ttl_s=TOKEN_TTL_S)
    return fleet.urls.ingest, token or own


def _texts(event: str | None, file: Path | None) -> Iterator[str]:
    """Yields the text of each event: one document, an array's items, or a line each."""
    if event not in (None, "-"):
        yield from split(event or "")
    elif file:
        yield from split(file.read_text(encoding="utf-8"))
    else:
        yield from (line for line in sys.stdin if line.strip())  # as they come: it may be a pipe


def split(text: str) -> list[str]:
    """The events in `text`: a JSON object, a JSON array of objects, or NDJSON."""
    try:
        whole: dict[str, Any] | list[Any] = json.loads(text)
    except ValueError:
        return [line for line in text.splitlines() if line.strip()]
    return [json.dumps(item) for item in whole] if isinstance(whole, list) else [text]


async def _publish_all(
    texts: Iterator[str], url: str, token: str | None, as_json: bool
) -> Counter[str]:
    from tapewire.client import ClientError, EventPublisher, InvalidEvent, NotConfirmed
    from tapewire.contracts import parse_event

    counts: Counter[str] = Counter()
    async with EventPublisher(url, token=token, name="tapewire publish") as publisher:
        for number, text in enumerate(texts, start=1):
            result: dict[str, Any] = {"index": number - 1, "status": "confirmed", "id": None}
            try:
                result["id"] = await publisher.publish(parse_event(text.encode()))
            except InvalidEvent as error:
                result["status"] = "rejected"
                result["errors"] = [
                    {"field": each.field, "message": each.message} for each in error.errors
                ]
            except NotConfirmed as error:
                result |= {
                    "status": "unconfirmed",
                    "id": error.event.id,
                    "errors": [_as_item(error)],
                }
            except ClientError as error:
                raise Failure(str(error), as_json=as_json) from None
            counts[result["status"]] += 1
            _tell(result, number, as_json)
    return counts


def _as_item(error: Exception) -> dict[str, str]:
    return {"field": "", "message": str(error)}


def _tell(result: dict[str, Any], number: int, as_json: bool) -> None:
    if as_json:
        print_json(result)
    elif result["status"] == "confirmed":
        out.print(f"[green]confirmed[/] {result['id']}")
    else:
        err.print(f"[red]{result['status']}[/] event {number}")
        for each in result["errors"]:
            where = f"{each['field']}: " if each["field"] else ""
            err.print("  ", where, each["message"], sep="", markup=False)
