"""The TypeScript SDK as a device: a Node process for each of its lives, on one file."""

import asyncio
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

from faults.devices import Came

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "libs/client-web/dist"
SCRIPT = Path(__file__).with_name("node_device.mjs")
LEAVES_WITHIN_S = 5.0


def missing() -> str:
    """Return why there can be no such device here; empty: nothing is missing."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not (PACKAGE / "node/index.js").exists():
        return "libs/client-web is not built (`npm run build -w @tapewire/client`)"
    if not (ROOT / "node_modules/ws").exists():
        return "npm packages are not installed"
    return ""


class NodeDevice(Came):
    """The TypeScript SDK in Node with a file storage, over WebSocket or a stream.

    It is ended by SIGTERM: it writes down what it handled within a second, or before the ack, and
    one that is killed in between may handle that again.
    """

    def __init__(self, *came, directory: Path, way: str = "websocket") -> None:
        super().__init__(*came)
        self._path = directory / f"{self.device.name}.json"
        self._way = way

    async def live(self) -> None:
        while True:
            self.rng.shuffle(self.urls)
            told = {
                "urls": self.urls,
                "client": self.device.name,
                "own": self.device.own,
                "store": str(self._path),
                "way": self._way,
                "package": str(PACKAGE),
            }
            self.book.noted(self.device, f"begins with {self.urls[0]}")
            with self._path.with_suffix(".err").open("ab") as errors:
                process = await asyncio.create_subprocess_exec(
                    *("node", str(SCRIPT), json.dumps(told)),
                    env=os.environ | {"TAPEWIRE_TOKEN": self.token()},
                    stdout=asyncio.subprocess.PIPE,
                    stderr=errors,
                )
            hearing = asyncio.create_task(self._hear(process))
            try:
                await self.connected.wait()  # its inbox is there after the first welcome
                await self.while_here(8.0)
            finally:
                await _end(process)
                await hearing
            await self.while_leaving(2.0)

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            what, detail, at, redelivered = json.loads(line)
            if what == "handled":
                self.book.handled(detail, self.device, at, redelivered=redelivered)
                continue
            self.book.noted(self.device, f"{what} {detail}".strip())
            if what == "connected":
                self.connected.set()


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(LEAVES_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
