"""Types of columns that SQLite and PostgreSQL both keep as we mean them."""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String
from sqlalchemy.types import TypeDecorator

from tapewire.contracts.ids import MAX_ID_LENGTH

ID: Final = String(MAX_ID_LENGTH)
SEQ: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers INTEGER keys only


class Instant(TypeDecorator[datetime]):
    """An aware datetime in UTC, also on SQLite, which keeps no offset."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Return an aware datetime."""
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC)
