"""Which events must not wait for others. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from tapewire.contracts import PositionUpdate, SessionEvent, SessionStatus, TradeExecuted
from tapewire.risk.session import Session, hear
from tapewire.risk.watch import Watch, judge

KEPT: Final = 10_000  # sessions; about 2 KB each

MARKS: Final = (SessionStatus, TradeExecuted, PositionUpdate)
"""What comes many times a second; everything else is rare, and does not wait."""


class Outlook:
    """What is remembered of sessions, to see an alarm come before anything is committed.

    It decides on nothing else: what it has forgotten or gets wrong, such as a limit that a person
    has just set, costs an alarm the pace of commits, or a commit that could have waited.

    Args:
        watch: numbers that hold for every session.
        kept: sessions remembered.
    """

    def __init__(self, watch: Watch, *, kept: int = KEPT) -> None:
        self._watch = watch
        self._kept = kept
        self._sessions: dict[tuple[str, str], Session] = {}  # the one heard of last comes last

    def remember(self, sessions: Iterable[Session]) -> None:
        """These were committed so."""
        for session in sessions:
            key = session.user, session.session
            self._sessions.pop(key, None)
            self._sessions[key] = session
        while len(self._sessions) > self._kept:
            del self._sessions[next(iter(self._sessions))]

    def is_urgent(self, event: SessionEvent, now: datetime) -> bool:
        """Return whether ``event``, which has just come, raises an alarm or may do so."""
        key = event.user_id, event.session_id
        known = self._sessions.get(key)
        if known is None or not isinstance(event, MARKS):
            return True
        heard, mark = hear(known, event, now)
        self._sessions[key], alarms = judge(heard, heard.at or now, self._watch, mark=mark)
        return bool(alarms)
