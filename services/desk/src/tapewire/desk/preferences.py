"""Users' preferences: kept, merged, told to their devices and to every edge."""

import logging
from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tapewire.contracts import Preferences, PreferencesChanged, new_id
from tapewire.desk import outbox
from tapewire.desk.tables import PREFERENCES
from tapewire.service.statements import insert_into

log = logging.getLogger(__name__)

DEFAULT: Final = Preferences()


async def preferences_of(connection: AsyncConnection, user: str) -> Preferences:
    """Return a user's preferences, or the default."""
    query = select(PREFERENCES).where(PREFERENCES.c.user_id == user)
    row = (await connection.execute(query)).first()
    return DEFAULT if row is None else _preferences(row)


async def replace_preferences(
    connection: AsyncConnection, user: str, wanted: Preferences, *, now: datetime
) -> Preferences:
    """Replace a user's preferences; return them with their version, put into the outbox."""
    return await _set(connection, user, wanted, await _take_turns(connection, user, now), now)


async def change_preferences(
    connection: AsyncConnection, user: str, change: Preferences, *, now: datetime
) -> Preferences:
    """Replace those fields that ``change`` was given; return the whole, put into the outbox."""
    kept = await _take_turns(connection, user, now)
    said = change.model_dump(mode="json", by_alias=True, exclude_unset=True)
    merged = _merged(kept.model_dump(mode="json", by_alias=True), said)
    return await _set(connection, user, Preferences.model_validate(merged), kept, now)


async def snapshots(
    connection: AsyncConnection, users: Collection[str]
) -> list[PreferencesChanged]:
    """Return the preferences of those of ``users`` who ever changed theirs."""
    query = select(PREFERENCES).where(PREFERENCES.c.user_id.in_(users))
    return [
        PreferencesChanged(
            id=new_id(),
            timestamp=row.changed_at,
            user_id=row.user_id,
            preferences=_preferences(row),
            snapshot=True,
        )
        for row in await connection.execute(query)
    ]


async def _take_turns(connection: AsyncConnection, user: str, now: datetime) -> Preferences:
    """Let one transaction at a time change a user's preferences; return what they are."""
    values = {"body": DEFAULT.model_dump_json(by_alias=True), "changed_at": now, "version": 0}
    await connection.execute(
        insert_into(connection.dialect.name, PREFERENCES)
        .values(user_id=user, **values)
        .on_conflict_do_update(index_elements=["user_id"], set_={"user_id": user})
    )
    return await preferences_of(connection, user)


async def _set(
    connection: AsyncConnection, user: str, wanted: Preferences, before: Preferences, now: datetime
) -> Preferences:
    preferences = wanted.model_copy(update={"version": before.version + 1})
    await connection.execute(
        PREFERENCES.update()
        .where(PREFERENCES.c.user_id == user)
        .values(
            body=preferences.model_dump_json(by_alias=True),
            version=preferences.version,
            changed_at=now,
        )
    )
    event = PreferencesChanged(id=new_id(), timestamp=now, user_id=user, preferences=preferences)
    await outbox.write(connection, event, now=now)
    return preferences


def _preferences(row: Row[Any]) -> Preferences:
    try:
        kept = Preferences.model_validate_json(row.body)
    except ValidationError as error:  # written by a version that allowed more
        log.warning("preferences are the default: %s", error, extra={"user": row.user_id})
        kept = DEFAULT
    return kept.model_copy(update={"version": row.version})


def _merged(kept: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """Return ``kept`` with what ``said`` has in its place, objects field by field (RFC 7396)."""
    return kept | {
        name: _merged(kept[name], value) if isinstance(value, dict) else value  # pyright: ignore[reportUnknownArgumentType]
        for name, value in said.items()
    }
