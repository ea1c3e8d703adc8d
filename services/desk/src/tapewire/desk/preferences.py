"""How a user wants to be notified. What is critical is always shown."""

from datetime import datetime, time
from typing import Annotated, Final, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tapewire.contracts import Model, PreferencesChanged, new_id
from tapewire.desk import outbox
from tapewire.desk.ledger import upsert_into
from tapewire.desk.tables import PREFERENCES

MinimumLevel = Literal["info", "warning", "critical"]
Mutable = Literal[
    "session_started",
    "session_completed",
    "algorithm_decision",
    "trade_executed",
    "position_update",
    "performance_milestone",
]


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("is no time zone of the IANA database, such as Europe/London")
    return name


class MinimumLevels(Model):
    """Below these levels a notification of the type is kept, but not shown at once."""

    risk_alert: Annotated[MinimumLevel, Field(alias="risk_alert")] = "warning"
    volatility_alert: Annotated[MinimumLevel, Field(alias="volatility_alert")] = "warning"
    system_notification: Annotated[MinimumLevel, Field(alias="system_notification")] = "info"


class QuietHours(Model):
    """When only what is critical is shown; from ``start`` to ``end``, also across midnight."""

    enabled: bool = False
    start: time = time(22)
    end: time = time(7)
    time_zone: Annotated[str, AfterValidator(_known_zone)] = "UTC"


class Preferences(Model):
    """A user's preferences, whole. They never apply to critical and emergency messages."""

    minimum_levels: MinimumLevels = MinimumLevels()
    muted: Annotated[
        tuple[Mutable, ...], Field(max_length=16, description="Types that are not shown at once.")
    ] = ()
    quiet_hours: QuietHours = QuietHours()
    market_data_rate: Annotated[
        float, Field(ge=0.2, le=20, description="Quotes of a symbol per second at most.")
    ] = 10.0
    emergency: Annotated[
        Literal[True], Field(description="Emergencies are always shown; nobody can change that.")
    ] = True


DEFAULT: Final = Preferences()


async def preferences_of(connection: AsyncConnection, user: str) -> Preferences:
    """Return a user's preferences, or the default."""
    body = await connection.scalar(select(PREFERENCES.c.body).where(PREFERENCES.c.user_id == user))
    return DEFAULT if body is None else Preferences.model_validate_json(body)


async def set_preferences(
    connection: AsyncConnection, user: str, preferences: Preferences, *, now: datetime
) -> None:
    """Replace a user's preferences and put word of it into the outbox."""
    values = {"body": preferences.model_dump_json(by_alias=True), "changed_at": now}
    await connection.execute(
        upsert_into(connection, PREFERENCES)
        .values(user_id=user, **values)
        .on_conflict_do_update(index_elements=["user_id"], set_=values)
    )
    event = PreferencesChanged(
        id=new_id(),
        timestamp=now,
        user_id=user,
        preferences=preferences.model_dump(mode="json", by_alias=True),
    )
    await outbox.write(connection, event, now=now)
