"""What the supervisor says, a JSON line each: read by `tapewire up`, `status` and people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """What can be said of a program, or (without a name) of the fleet."""

    STARTING = "starting"
    READY = "ready"
    DIED = "died"
    STOPPING = "stopping"
    KILLED = "killed"
    STOPPED = "stopped"
    FAILED = "failed"  # the fleet does not come up; nothing of it is left
    UP = "up"
    DOWN = "down"
    NOTE = "note"


@dataclass(frozen=True)
class Entry:
    """One thing that happened; `name` is empty when it is about the fleet."""

    at: str
    kind: Kind
    name: str = ""
    detail: str = ""

    def __str__(self) -> str:
        """The entry as a person reads it in a log."""
        return " ".join(
            part for part in (self.at, self.name or "fleet", self.kind, self.detail) if part
        )


class Journal:
    """The journal of one run of the fleet, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_text("")

    def say(self, kind: Kind, name: str = "", detail: str = "", *, now: datetime) -> Entry:
        """Appends an entry."""
        entry = Entry(now.isoformat(timespec="milliseconds"), kind, name, detail)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry)) + "\n")
        return entry


class Reader:
    """Reads a journal from its beginning, as far as it is written each time it is asked."""

    def __init__(self, path: Path, *, offset: int = 0) -> None:
        self.path = path
        self._offset = offset

    @classmethod
    def at_end(cls, path: Path) -> Reader:
        """A reader that sees only what is said from now on."""
        return cls(path, offset=path.stat().st_size if path.exists() else 0)

    def new(self) -> Iterator[Entry]:
        """The entries that were written since the last call; a half-written one waits."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                fields = json.loads(line)
                yield Entry(**(fields | {"kind": Kind(fields["kind"])}))
