"""From alarms to the messages that clients see. Ids come from what happened, not from when."""

import json
from typing import Final
from uuid import UUID, uuid5

from tapewire.contracts import AlertLevel, RiskAlert
from tapewire.risk.episode import Level
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
    key = (session.user, session.session, raised.rule, NO_INSTRUMENT)
    level = _LEVELS[alarm.level]
    return RiskAlert(
        id=make_id(*key, alarm.episode, alarm.level.name.lower(), alarm.nth),
        timestamp=alarm.at,
        user_id=session.user,
        session_id=session.session,
        alert_level=level,
        alert_type=raised.rule if alarm.level else "data_stale",
        message=raised.words,
        current_value=round(raised.value, 4),
        threshold=raised.threshold,
    )
