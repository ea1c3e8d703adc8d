"""Answers edges that ask for the state of a channel at the moment of subscribing."""

import time
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from tapewire.contracts import Model, SessionStatus, encode
from tapewire.desk.ledger import reading
from tapewire.desk.sessions import statuses
from tapewire.service import metrics


class Request(Model):
    """What an edge asks: these channels of this user. The edge has checked who may see them."""

    user_id: str
    channels: list[str]


class Snapshots:
    """Answers requests on the queue `desk.snapshot`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def answer(self, body: bytes) -> bytes:
        """Return NDJSON: the newest `session_status` of each session, with `"snapshot": true`."""
        started = time.perf_counter()
        request = Request.model_validate_json(body)
        found: dict[tuple[str, str], SessionStatus] = {}
        async with reading(self._engine) as connection:
            for channel in request.channels:
                kind, _, name = channel.partition(":")
                match kind:
                    case "sessions":
                        user, session = name, None
                    case "session":
                        user, session = request.user_id, name
                    case _:
                        continue
                for status in await statuses(connection, user, session, now=datetime.now(UTC)):
                    found[status.user_id, status.session_id] = status
        metrics.histogram(metrics.SNAPSHOT_LATENCY).record(
            time.perf_counter() - started, {"source": "desk"}
        )
        return b"\n".join(encode(status) for status in found.values())
