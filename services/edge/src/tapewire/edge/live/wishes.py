"""The preferences of the users who are connected here, applied to their connections.

Desk is asked for them when a user's first connection comes, for many users at once; changes come
over the edge's own queue. Each has a version, so it does not matter which arrives first. While desk
is away the last that was known holds, and without one everything is delivered.

A program with an inbox of its own gets everything: preferences are a person's.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from pydantic import ValidationError

from tapewire.broker import BrokerError, Caller, full_jitter, topology
from tapewire.contracts import Preferences, PreferencesChanged, escape
from tapewire.edge.connection.connection import Connection
from tapewire.edge.connection.preferences import hides_of
from tapewire.edge.live.holdings import Holdings
from tapewire.edge.runtime.flag import Flag
from tapewire.edge.runtime.tasks import Tasks

log = logging.getLogger(__name__)

BATCH: Final = 256  # users in one question: tens of kilobytes
WAIT_S: Final = 0.25  # then a client is welcomed without: desk answers in milliseconds or is away
REMEMBERED: Final = 10_000  # users who left; about a kilobyte each
DEFAULT: Final = Preferences()


class User:
    """A user with connections here."""

    __slots__ = ("connections", "known", "name", "preferences")

    def __init__(self, name: str, preferences: Preferences | None) -> None:
        self.name = name
        self.preferences = preferences
        self.connections: set[Connection] = set()
        self.known = Flag()


class Wishes:
    """Keeps and applies the preferences of the users here."""

    def __init__(
        self,
        caller: Caller,
        holdings: Holdings,
        tasks: Tasks,
        *,
        deadline_s: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._caller = caller
        self._holdings = holdings
        self._tasks = tasks
        self._deadline_s = deadline_s
        self._now = now
        self._users: dict[str, User] = {}
        self._left: dict[str, Preferences] = {}
        self._unasked: dict[str, None] = {}
        self._asking: asyncio.Task[None] | None = None
        self._away = False

    def arrived(self, connection: Connection) -> None:
        """A connection came whose binding stands: apply what is known, and ask if nothing is."""
        if connection.own_inbox:
            return
        user = self._users.get(connection.word)
        if user is None:
            user = User(connection.user, self._left.pop(connection.word, None))
            self._users[connection.word] = user
            self._ask([connection.word])
        user.connections.add(connection)
        if user.preferences is not None:
            self._apply(connection, user.preferences)

    async def known(self, connection: Connection, *, by: float) -> None:
        """Return once the user's preferences are applied, or it is not worth waiting for them.

        Args:
            connection: one that ``arrived``.
            by: the loop's time by which it is not: ``WAIT_S`` after it arrived.
        """
        user = self._users.get(connection.word)
        if user is None or connection not in user.connections or self._away:
            return
        if user.known.is_set():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout_at(by):
                await user.known.wait()

    def left(self, connection: Connection) -> None:
        """A connection went."""
        user = self._users.get(connection.word)
        if user is None or connection not in user.connections:
            return
        user.connections.discard(connection)
        if user.connections:
            return
        del self._users[connection.word]
        self._unasked.pop(connection.word, None)
        if user.preferences is not None and user.preferences != DEFAULT:
            # Older than any answer: desk's database may have been restored meanwhile.
            self._left[connection.word] = user.preferences.model_copy(update={"version": -1})
            if len(self._left) > REMEMBERED:
                del self._left[next(iter(self._left))]

    def changed(self, body: bytes) -> None:
        """A user's preferences changed, on whichever device."""
        try:
            event = PreferencesChanged.model_validate_json(body)
        except ValidationError as error:  # of a newer version of desk
            log.warning("preferences not understood: %s", error)
            return
        self._take(escape(event.user_id), event.preferences)

    def ask_again(self) -> None:
        """Changes may have been missed: the edge's queue was lost."""
        self._ask(self._users)

    # Steps

    def _take(self, word: str, preferences: Preferences) -> None:
        """Apply what is newer than what is known."""
        user = self._users.get(word)
        if user is None:
            return
        before = user.preferences
        if before is None or preferences.version > before.version:
            user.preferences = preferences
            for connection in user.connections:
                self._apply(connection, preferences)

    def _apply(self, connection: Connection, preferences: Preferences) -> None:
        connection.hides = hides_of(preferences, self._now)
        self._holdings.pace(connection, preferences.market_data_rate)

    def _ask(self, words: Iterable[str]) -> None:
        self._unasked |= dict.fromkeys(words)
        if self._unasked and (self._asking is None or self._asking.done()):
            self._asking = self._tasks.spawn(self._keep_asking(), "preferences")

    async def _keep_asking(self) -> None:
        """Ask for those of everybody who has come meanwhile, until there is nobody."""
        waits = full_jitter(0.5, 10.0)
        while self._unasked:
            words = list(self._unasked)[:BATCH]
            try:
                answer = await self._question(words)
            except BrokerError as error:
                log.info("preferences not known: %s", error)
                self._away = True
                for word in words:
                    if (user := self._users.get(word)) is not None:
                        user.known.set()
                await asyncio.sleep(next(waits))
                continue
            self._away = False
            waits = full_jitter(0.5, 10.0)
            for line in answer.splitlines():
                self.changed(line)
            for word in words:
                self._unasked.pop(word, None)
                self._take(word, DEFAULT)  # who is not in the answer never changed anything
                if (user := self._users.get(word)) is not None:
                    user.known.set()

    async def _question(self, words: list[str]) -> bytes:
        names = [user.name for word in words if (user := self._users.get(word)) is not None]
        if not names:
            return b""
        channels = [f"preferences:{name}" for name in names]
        request = {"userId": names[0], "channels": channels}
        return await self._caller.call(
            topology.DESK_SNAPSHOT.name, json.dumps(request).encode(), timeout_s=self._deadline_s
        )
