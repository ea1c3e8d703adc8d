"""`python doomed.py URL STORE LOG MOMENT`: a client that is killed with SIGKILL at one moment.

Its handler notes each id in the file LOG. The moments are named in `test_client_killed`.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tapewire.client import Backoff, FileStore, Message, WebSocketClient


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Doomed(FileStore):
    """A file store whose process dies in the middle of it."""

    moment = ""

    async def remember(self, ids: Sequence[str]) -> None:
        if ids and self.moment == "in the middle of a line":
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(list(ids))[:-3])
                file.flush()
                die()
        await super().remember(ids)
        if ids and self.moment == "before the ack":
            die()

    def _rewrite(self) -> None:
        if self._used and self.moment == "in the middle of a rewrite":
            self._path.with_name(f"{self._path.name}.{os.getpid()}.new").write_text('"ali')
            die()
        super()._rewrite()


async def main(url: str, path: str, log: str, moment: str) -> None:
    store = Doomed(path, capacity=1)
    Doomed.moment = moment
    client = WebSocketClient(
        url, token="t-1", store=store, backoff=Backoff(first_s=0.05, cap_s=0.1)
    )

    @client.on_message("risk_alert")
    def handle(message: Message) -> None:
        with Path(log).open("a") as file:
            file.write(f"{message.id}\n")
        if moment == "in the handler":
            die()

    await client.connect()
    await client.wait_closed()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
