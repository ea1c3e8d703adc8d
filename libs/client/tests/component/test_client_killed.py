"""A client killed with SIGKILL loses no alert, and repeats one only if it had not noted it."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tapewire.client import FileStore

if TYPE_CHECKING:
    from libs.client.tests.conftest import ScriptedServer as Server

ALERT = {
    "type": "risk_alert",
    "sessionId": "s-1",
    "alertLevel": "critical",
    "alertType": "loss_limit",
    "message": "the limit is near",
    "currentValue": 91,
    "threshold": 90,
    "timestamp": "2026-01-05T14:30:00Z",
    "ack": True,
}


async def life(server: "Server", tmp_path: Path, moment: str) -> asyncio.subprocess.Process:
    """One run of the program, up to its welcome."""
    arguments = (server.url, str(tmp_path / "store"), str(tmp_path / "log"), moment)
    program = Path(__file__).with_name("doomed.py")
    process = await asyncio.create_subprocess_exec(sys.executable, str(program), *arguments)
    await server.accept(within_s=60)
    await server.welcome()
    return process


@pytest.mark.parametrize(
    ("moment", "handled"),
    [
        ("in the handler", ["a", "a"]),
        ("in the middle of a line", ["a", "a"]),
        ("before the ack", ["a"]),
        ("in the middle of a rewrite", ["a", "a"]),
    ],
)
async def test_killed_client_handles_the_alert_in_its_next_life_unless_it_had_noted_it(
    server: "Server", tmp_path: Path, moment: str, handled: list[str]
) -> None:
    first = await life(server, tmp_path, "")
    for number in range(3):  # the file has grown: the next ids have it written anew
        await server.send(ALERT | {"id": f"earlier-{number}"})
        assert await server.frame() == {"type": "ack", "ids": [f"earlier-{number}"]}
    first.kill()
    await first.wait()

    second = await life(server, tmp_path, moment)
    await server.send(ALERT | {"id": "a"})
    assert await second.wait() == -9
    assert server.frames.empty()  # it was not acked, so the edge has it still

    third = await life(server, tmp_path, "")
    await server.send(ALERT | {"id": "a", "redelivered": True})
    await server.send(ALERT | {"id": "b"})
    acked: list[str] = []
    while len(acked) < 2:
        acked += (await server.frame())["ids"]
    assert acked == ["a", "b"]
    third.kill()
    await third.wait()
    log = (tmp_path / "log").read_text().split()
    assert log == ["earlier-0", "earlier-1", "earlier-2", *handled, "b"]


async def test_line_that_could_not_be_written_whole_costs_only_itself(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    await store.remember(["a"])
    path = tmp_path / "store"

    class Full:
        """A file on a disk that takes three more bytes."""

        def __init__(self, *_: object, **__: object) -> None:
            self._file = path.open("a")

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def write(self, text: str) -> None:
            self._file.write(text[:3])
            raise OSError(28, "No space left on device")

    store._open = Full  # type: ignore[method-assign]
    with pytest.raises(OSError, match="No space"):
        await store.remember(["b"])
    del store._open
    await store.remember(["c"])
    assert await FileStore(path).load() == ["a", "c"]
