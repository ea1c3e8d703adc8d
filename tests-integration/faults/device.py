"""`python -m faults.device JSON`: the SDK in a process that may be killed at any instant.

Its handler appends the id to a log, in one write; the same log is its store. So what it handled
and what it knows to be handled cannot differ, and each alert is handled once for ever.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from time import monotonic

from tapewire.client import Backoff, CallbackStore, WebSocketClient


def ids_in(log: Path) -> list[str] | None:
    """Return the ids in the log; None when there is none."""
    if not log.exists():
        return None
    return [json.loads(line)[0] for line in log.read_text().splitlines()]


async def main(told: dict) -> None:
    """Handle alerts until killed."""
    log = Path(told["log"])
    store = CallbackStore(lambda: ids_in(log), lambda _: None, client_id=told["client"])
    client = WebSocketClient(
        told["urls"],
        os.environ["TAPEWIRE_TOKEN"],
        shuffle=False,
        inbox="own" if told["own"] else None,
        store=store,
        backoff=Backoff(first_s=0.1, cap_s=1.0),
    )
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def handle(message) -> None:
        os.write(file, json.dumps([message.id, monotonic(), message.redelivered]).encode() + b"\n")

    client.on_message("risk_alert", handle)
    await client.connect(wait=False)
    await client.wait_closed()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
