"""Which messages were handled: in this process, and across restarts."""

import inspect
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol, TextIO

from pydantic import TypeAdapter, ValidationError

from tapewire.contracts import new_id

log = logging.getLogger(__name__)

REMEMBERED = 10_000  # ids: many times what an edge keeps in flight to one client


class Seen:
    """The ids handled lately: a set that forgets its oldest."""

    def __init__(self, capacity: int = REMEMBERED) -> None:
        self._capacity = capacity
        self._ids: dict[str, None] = {}

    def add(self, message_id: str) -> None:
        """Take ``message_id`` in, as the youngest."""
        self._ids.pop(message_id, None)
        self._ids[message_id] = None
        if len(self._ids) > self._capacity:
            del self._ids[next(iter(self._ids))]

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)


class DedupStore(Protocol):
    """Where handled ids outlive the process.

    One store belongs to one client. ``remember`` is awaited before the ids are acked, so a crash in
    between costs a second ack and not a second handling.
    """

    @property
    def client_id(self) -> str | None:
        """The client id that belongs to these ids, if the store keeps one."""
        ...

    async def load(self) -> Sequence[str] | None:
        """Return the ids, oldest first; None if ``remember`` was never called."""
        ...

    async def remember(self, ids: Sequence[str]) -> None:
        """Keep these ids. Called with none after the first welcome."""
        ...


_HEADER: Final = TypeAdapter(str)  # the client id; written whole, by renaming
_LINE: Final = TypeAdapter(list[str])  # handled ids


class FileStore:
    """A small text file: first the client id, as a JSON string, then JSON lists of ids, one a line.

    Appended to, and rewritten with the youngest ids when it has grown to twice its capacity. It
    survives the process; the last lines may be lost with the machine, and a torn line is skipped:
    either way a message may be handled a second time and none is lost.

    Raises:
        ValueError: the path is some other file's.
        OSError: the file can be neither read nor made.
    """

    def __init__(
        self, path: str | Path, *, client_id: str | None = None, capacity: int = REMEMBERED
    ) -> None:
        self._path = Path(path).expanduser()
        self._capacity = capacity
        self._ids: list[str] = []
        self._written = 0
        self._used = False
        self._torn = False  # the last line may have been written in part: the disk was full
        self._client_id = client_id
        self._read()

    @property
    def client_id(self) -> str | None:
        """The id given, or made and kept in the file."""
        return self._client_id

    async def load(self) -> Sequence[str] | None:
        """Return the ids of earlier runs, oldest first; None in the first run."""
        return list(self._ids) if self._used else None

    async def remember(self, ids: Sequence[str]) -> None:
        """Append the ids; on return they are with the operating system."""
        self._used = True
        self._ids.extend(ids)
        self._written += len(ids)
        if self._written >= 2 * self._capacity:
            self._rewrite()
            return
        begin, self._torn = "\n" if self._torn else "", True
        with self._open() as file:
            file.write(f"{begin}{json.dumps(list(ids))}\n")
        self._torn = False

    def _open(self) -> TextIO:
        return self._path.open("a", encoding="utf-8")

    def _read(self) -> None:
        content = self._path.read_bytes() if self._path.exists() else b""
        header, *lines = content.split(b"\n")
        if header:
            try:
                self._client_id = self._client_id or _HEADER.validate_json(header)
            except ValidationError:
                raise ValueError(f"{self._path} is some other file: it was left alone") from None
        for line in filter(None, lines):
            try:
                self._ids.extend(_LINE.validate_json(line))
                self._used = True
            except ValidationError:
                log.warning("%s: a torn line was skipped", self._path)
        self._client_id = self._client_id or f"py-{new_id()}"
        self._rewrite()

    def _rewrite(self) -> None:
        self._ids = self._ids[-self._capacity :]
        self._written = len(self._ids)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(self._client_id)]
        if self._used:
            lines.append(json.dumps(self._ids))
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        beside.write_text("\n".join(lines) + "\n", "utf-8")
        beside.replace(self._path)


class CallbackStore:
    """A store made of two callables, for an application that has a database of its own.

    Args:
        load: returns the ids kept, oldest first, or None in the first run.
        remember: keeps some ids; returning means that they are kept.
        client_id: the client that the ids belong to.
    """

    def __init__(
        self,
        load: Callable[[], Iterable[str] | Awaitable[Iterable[str] | None] | None],
        remember: Callable[[Sequence[str]], Awaitable[None] | None],
        *,
        client_id: str | None = None,
    ) -> None:
        self._load = load
        self._remember = remember
        self._client_id = client_id

    @property
    def client_id(self) -> str | None:
        """The client id given."""
        return self._client_id

    async def load(self) -> Sequence[str] | None:
        """Return what the callable returns."""
        ids = self._load()
        if inspect.isawaitable(ids):
            ids = await ids
        return None if ids is None else list(ids)

    async def remember(self, ids: Sequence[str]) -> None:
        """Hand the ids to the callable."""
        result = self._remember(ids)
        if inspect.isawaitable(result):
            await result
