"""One `/metrics` for all workers: whoever is asked gathers what its siblings have.

Each worker answers on a Unix socket in a directory that only this user can read.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tapewire.service import telemetry

GATHER_S: Final = 1.0  # a sibling that is stuck must not keep the others' figures back
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Siblings:
    """Component: this worker's socket, and the way to the others'."""

    name = "siblings"

    def __init__(self, directory: Path, worker: int) -> None:
        self._directory = directory
        self._worker = worker
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to answer."""
        path = self._directory / str(self._worker)
        path.unlink(missing_ok=True)  # of a predecessor that was killed
        self._server = await asyncio.start_unix_server(self._answer, path)

    async def drain(self) -> None:
        """Nothing to finish."""

    async def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.close()
            (self._directory / str(self._worker)).unlink(missing_ok=True)

    def health(self) -> str | None:
        """Return None: figures are no reason to send clients elsewhere."""
        return None

    async def exposition(self) -> tuple[bytes, str]:
        """Return (body, content type) of all workers' metrics, each with a label ``worker``."""
        paths = sorted(self._directory.iterdir(), key=lambda path: path.name)
        texts = await asyncio.gather(*(self._read(path) for path in paths))
        found = {p.name: text for p, text in zip(paths, texts, strict=True) if text is not None}
        return merged(found).encode(), CONTENT_TYPE

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body, _type = telemetry.exposition(None)
        writer.write(body)
        await writer.drain()
        writer.close()

    async def _read(self, path: Path) -> str | None:
        try:
            async with asyncio.timeout(GATHER_S):
                reader, writer = await asyncio.open_unix_connection(path)
                text = (await reader.read()).decode()
                writer.close()
                return text
        except (OSError, TimeoutError):  # it died, or is starting
            return None


def merged(texts: Mapping[str, str]) -> str:
    """Return expositions (Prometheus text format) as one, each sample labelled with its worker."""
    comments: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for worker, text in texts.items():
        family = ""
        for line in filter(None, text.splitlines()):
            if line.startswith("#"):
                family = line.split(" ", 3)[2]
                told = comments.setdefault(family, [])
                if line not in told:
                    told.append(line)
            else:
                samples.setdefault(family, []).append(_labelled(line, worker))
    lines: list[str] = []
    for family, told in comments.items():
        lines += [*told, *samples.get(family, [])]
    return "".join(f"{line}\n" for line in lines)


def _labelled(sample: str, worker: str) -> str:
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{worker="{worker}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{worker="{worker}"}} {value}'
