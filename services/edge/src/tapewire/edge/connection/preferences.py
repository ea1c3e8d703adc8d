"""What a user's preferences keep from the user's screens. Pure.

They are about what a person is shown at once: desk keeps the history of everything. What is
critical is never kept back, and no state of a session is.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from tapewire.contracts import Preferences, QuietHours
from tapewire.contracts.routing import CRITICAL_LEVELS

NOTIFICATIONS: Final = frozenset(
    {"risk_alert", "volatility_alert", "system_notification", "performance_milestone"}
)
"""Types that quiet hours are about; decisions and figures are watched, not notified."""

RANK: Final = {"info": 0, "warning": 1, "critical": 2}
LEAST: Final = {"risk_alert": "warning", "volatility_alert": "warning"}
"""What types begin at: to ask for it keeps nothing back. All others begin at `info`."""

Hides: TypeAlias = Callable[[str, str], bool]
"""Whether a message of class live or recent is kept back: by its type, and the last word of its
routing key, which is its level where it has one."""


def hides_of(preferences: Preferences, now: Callable[[], datetime]) -> Hides | None:
    """Return what ``preferences`` keep back; None when it is nothing."""
    levels = preferences.minimum_levels.model_dump()
    least = {
        name: RANK[level] for name, level in levels.items() if level != LEAST.get(name, "info")
    }
    least |= dict.fromkeys(preferences.muted, RANK["critical"])
    quiet = preferences.quiet_hours
    if not least and not quiet.enabled:
        return None

    def hides(type: str, level: str) -> bool:
        if level in CRITICAL_LEVELS:
            return False
        if RANK.get(level, 0) < least.get(type, 0):
            return True
        return quiet.enabled and type in NOTIFICATIONS and is_quiet(quiet, now())

    return hides


def is_quiet(quiet: QuietHours, now: datetime) -> bool:
    """Return whether it is between ``start`` and ``end`` on the clocks of the user's zone."""
    at = now.astimezone(ZoneInfo(quiet.time_zone)).time()
    if quiet.start < quiet.end:
        return quiet.start <= at < quiet.end
    return at >= quiet.start or at < quiet.end
