"""Options that several commands share."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from tapewire.cli.console import Failure
from tapewire.fleet.record import Fleet, NoFleet, default_run_dir

RunDir = Annotated[
    Path | None,
    typer.Option(
        "--run-dir",
        help="Where the fleet keeps its files.",
        envvar="TAPEWIRE_RUN_DIR",
        show_default=".run of the work tree",
        file_okay=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def directory(run_dir: Path | None) -> Path:
    """The run directory to use."""
    return run_dir.resolve() if run_dir else default_run_dir()


def the_fleet(run_dir: Path | None, *, as_json: bool = False) -> Fleet:
    """The fleet that runs.

    Raises:
        Failure: none does.
    """
    try:
        return Fleet.read(directory(run_dir))
    except NoFleet as error:
        remedy = "Start one with `tapewire up` or `make demo`."
        raise Failure(str(error), remedy=remedy, code=3, as_json=as_json) from None


def duration(text: str, option: str | None = None) -> timedelta:
    """Reads `90s`, `10m`, `8h`, `1d`, or a bare number of seconds.

    Raises:
        typer.BadParameter: it is none of these; names ``option``.
    """
    parts = re.fullmatch(r"(\d+)([smhd]?)", text.strip())
    if not parts or int(parts[1]) == 0:
        words = f"{text!r} is not a duration such as 90s, 10m, 8h or 1d"
        raise typer.BadParameter(words, param_hint=option)
    return timedelta(**{UNITS[parts[2] or "s"]: int(parts[1])})


def names(text: list[str] | None) -> list[str]:
    """Values of an option that may be repeated and may hold several, separated by commas."""
    return [name.strip() for part in text or [] for name in part.split(",") if name.strip()]
