"""How a user wants to be notified: kept by ``desk``, applied by every edge."""

from datetime import time
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from tapewire.contracts.message import Model

MinimumLevel = Literal["info", "warning", "critical"]
Mutable = Literal["algorithm_decision", "trade_executed", "performance_milestone"]
"""What may be muted: types without a level that tell something and change no state on a page."""

MIN_RATE: Final = 0.2  # a quote older than five seconds is not a quote to trade on
MAX_RATE: Final = 20.0  # twice what the market service sends


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is no time zone of the IANA database, such as Europe/London") from None
    return name


TimeZone = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_known_zone)]
"""A name of the IANA time zone database."""


class MinimumLevels(Model):
    """What is below its type's level is kept in history, but not shown at once."""

    risk_alert: Annotated[MinimumLevel, Field(alias="risk_alert")] = "warning"
    volatility_alert: Annotated[MinimumLevel, Field(alias="volatility_alert")] = "warning"
    system_notification: Annotated[MinimumLevel, Field(alias="system_notification")] = "info"


class QuietHours(Model):
    """When of all notifications only critical ones are shown at once.

    From ``start`` to ``end`` on the clocks of ``timeZone``, also across midnight; the whole day
    when the two are the same.
    """

    enabled: bool = False
    start: time = time(22)
    end: time = time(7)
    time_zone: TimeZone = "UTC"


class Preferences(Model):
    """A user's preferences, whole. They never apply to critical and emergency messages."""

    minimum_levels: MinimumLevels = MinimumLevels()
    muted: Annotated[
        tuple[Mutable, ...], Field(max_length=16, description="Types that are not shown at once.")
    ] = ()
    quiet_hours: QuietHours = QuietHours()
    market_data_rate: Annotated[
        float | None,
        Field(
            ge=MIN_RATE,
            le=MAX_RATE,
            description="Quotes of a symbol per second and connection at most; null: all of them.",
        ),
    ] = None
    emergency: Annotated[
        Literal[True], Field(description="Emergencies are always shown; nobody can change that.")
    ] = True
    version: Annotated[
        int, Field(ge=0, description="Counts the changes. The server's; not taken from a client.")
    ] = 0
