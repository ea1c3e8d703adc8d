"""From alarms to the messages that clients see. Ids come from what happened, not from when."""

import json
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final
from uuid import UUID, uuid5

from tapewire.contracts import AlertLevel, RiskAlert
from tapewire.risk.episode import Episode, Level, Told
from tapewire.risk.repeats import acknowledged
from tapewire.risk.session import Session
from tapewire.risk.watch import RuleAlarm

NAMESPACE: Final = UUID("8f0b6a52-6a53-5b0e-9c57-3f1f0d9f2b11")  # Tapewire's own, made once
NO_INSTRUMENT: Final = "-"  # for rules on a whole session

_LEVELS: Final[dict[Level, AlertLevel]] = {
    Level.NONE: "warning",  # data_stale
    Level.WARNING: "warning",
    Level.CRITICAL: "critical",
    Level.EMERGENCY: "emergency",
}


def make_id(*parts: str | int) -> str:
    """Return the UUIDv5 (RFC 9562, 5.5) of ``parts``: same parts, same id, on any machine."""
    return str(uuid5(NAMESPACE, json.dumps(parts, ensure_ascii=False, separators=(",", ":"))))


def alert_of(session: Session, raised: RuleAlarm) -> RiskAlert:
    """Return the message of an alarm: the same alarm always gives the same id."""
    alarm = raised.alarm
    key = _key(session, raised.rule)
    level = _LEVELS[alarm.level]
    return RiskAlert(
        id=_telling(key, alarm.episode, alarm.level, alarm.nth, alarm.repeat),
        timestamp=alarm.at,
        user_id=session.user,
        session_id=session.session,
        alert_level=level,
        alert_type=raised.rule if alarm.level else "data_stale",
        message=raised.words,
        current_value=round(raised.value, 4),
        threshold=raised.threshold,
        episode_id=make_id(*key, alarm.episode) if alarm.level else None,
        repeat=alarm.repeat or None,
    )


def acknowledge(session: Session, ids: Collection[str]) -> Session:
    """Return the session with those alarms acknowledged of which ``ids`` has any telling."""
    acked = {
        rule: acknowledged(episode)
        for rule, episode in session.episodes.items()
        if (told := episode.told) is not None
        and not told.acked
        and not set(ids).isdisjoint(_tellings(_key(session, rule), episode, told))
    }
    return replace(session, episodes={**session.episodes, **acked}) if acked else session


def _tellings(key: tuple[str, ...], episode: Episode, told: Told) -> Iterator[str]:
    for n in range(told.repeats + 1):
        yield _telling(key, episode.number, told.level, told.nth, n)


def _telling(key: tuple[str, ...], episode: int, level: Level, nth: int, repeat: int) -> str:
    again = ("repeat", repeat) if repeat else ()
    return make_id(*key, episode, level.name.lower(), nth, *again)


def _key(session: Session, rule: str) -> tuple[str, ...]:
    return session.user, session.session, rule, NO_INSTRUMENT
