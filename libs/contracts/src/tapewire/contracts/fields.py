"""The field types that messages share."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, PlainSerializer, WithJsonSchema

from tapewire.contracts.ids import MAX_ID_LENGTH, RESERVED

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)  # AMQP's timestamps count from there, unsigned
_LAST = datetime(9999, 1, 1, tzinfo=UTC)  # past it some offsets cannot be turned into UTC
_MAX_ID_BYTES = 255  # an AMQP short string, as `message_id` is


def _utc(value: datetime) -> datetime:
    if not _FIRST <= value < _LAST:
        raise ValueError("must be in the years 1970 to 9998")
    return value.astimezone(UTC)


def _plain(value: str) -> str:
    if any(char < " " or char == "\x7f" for char in value):
        raise ValueError("must not contain control characters")
    if len(value.encode()) > _MAX_ID_BYTES:
        raise ValueError(f"must not be longer than {_MAX_ID_BYTES} bytes")
    return value


def _not_reserved(value: str) -> str:
    if value in RESERVED:
        raise ValueError(f"{value!r} is reserved")
    return value


def _number(value: Decimal) -> float:
    return float(value)


Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH), AfterValidator(_plain)]
"""A message's id: 1 to 64 characters, none of them a control character; UUIDv7 where Tapewire
makes it."""

PrincipalId = Annotated[
    str,
    Field(min_length=1, max_length=MAX_ID_LENGTH),
    AfterValidator(_plain),
    AfterValidator(_not_reserved),
]
"""A user's, session's or client's id: as `Id`, and not a reserved word."""

Symbol = Annotated[
    str, Field(min_length=1, max_length=32, pattern=r"^[^\s,]+$"), AfterValidator(_plain)
]
"""An instrument's symbol: no white space, no comma (bundles list symbols with commas)."""

Text = Annotated[str, Field(min_length=1, max_length=4000)]
"""Words for a person: 1 to 4000 characters."""

Timestamp = Annotated[AwareDatetime, AfterValidator(_utc)]
"""An instant, RFC 3339, kept in UTC; a time without offset is refused."""

Money = Annotated[
    Decimal,
    Field(max_digits=24, allow_inf_nan=False),
    PlainSerializer(_number, return_type=float, when_used="json"),
    WithJsonSchema({"type": "number"}),
]
"""An amount in the account's currency: ``Decimal`` inside, a JSON number on the wire."""

Price = Annotated[
    Decimal,
    Field(gt=0, max_digits=24, allow_inf_nan=False),
    PlainSerializer(_number, return_type=float, when_used="json"),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]
"""A price per unit, above zero."""

Percent = Annotated[float, Field(allow_inf_nan=False)]
"""Per cent: 92.1 is 92.1 %."""
