"""Answers edges that ask for the state of a channel at the moment of subscribing."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from tapewire.contracts import Model, SessionStatus, encode
from tapewire.desk import preferences
from tapewire.desk.sessions import statuses
from tapewire.desk.store import reading
from tapewire.service import metrics


class Request(Model):
    """What an edge asks: these channels of this user. The edge has checked who may see them.

    Besides clients' channels there is ``preferences:<user>``, for the edge itself.
    """

    user_id: str
    channels: list[str]


class Snapshots:
    """Answers requests on the queue `desk.snapshot`.

    Args:
        engine: of the database.
        caught_up: awaited before it is read, so that it has what has come.
    """

    def __init__(self, engine: AsyncEngine, caught_up: Callable[[], Awaitable[None]]) -> None:
        self._engine = engine
        self._caught_up = caught_up

    async def answer(self, body: bytes) -> bytes:
        """Return NDJSON, each line with `"snapshot": true`.

        The newest `session_status` of each session; `preferences_changed` of each user asked for
        who ever changed them.
        """
        started = time.perf_counter()
        request = Request.model_validate_json(body)
        found: dict[tuple[str, str], SessionStatus] = {}
        users: list[str] = []
        await self._caught_up()
        async with reading(self._engine) as connection:
            for channel in request.channels:
                kind, _, name = channel.partition(":")
                match kind:
                    case "sessions":
                        user, session = name, None
                    case "session":
                        user, session = request.user_id, name
                    case "preferences":
                        users.append(name)
                        continue
                    case _:
                        continue
                for status in await statuses(connection, user, session, now=datetime.now(UTC)):
                    found[status.user_id, status.session_id] = status
            wishes = await preferences.snapshots(connection, users) if users else []
        metrics.histogram(metrics.SNAPSHOT_LATENCY).record(
            time.perf_counter() - started, {"source": "desk"}
        )
        return b"\n".join(encode(event) for event in [*found.values(), *wishes])
