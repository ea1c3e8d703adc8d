"""What all commands print with, and how they fail."""

import json
from typing import Any

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Failure(Exception):
    """A command cannot do what it was asked.

    Args:
        message: what is wrong.
        remedy: what the user can do about it; shown below the message.
        code: the exit code.
        as_json: say it as a JSON object on standard output, as `--json` promises.
    """

    def __init__(
        self, message: str, *, remedy: str = "", code: int = 1, as_json: bool = False
    ) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.code = code
        self.as_json = as_json


def fail(failure: Failure) -> int:
    """Prints a failure; returns the exit code."""
    if failure.as_json:
        print_json({"error": str(failure), "remedy": failure.remedy})
        return failure.code
    err.print("error:", str(failure), style="red", markup=False)
    if failure.remedy:
        err.print(failure.remedy, markup=False)
    return failure.code


def print_json(value: Any) -> None:
    """Prints one JSON document on a line of its own, at once."""
    print(json.dumps(value, default=str, ensure_ascii=False), flush=True)
