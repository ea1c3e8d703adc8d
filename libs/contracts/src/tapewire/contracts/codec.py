"""Between bytes and events."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json

from tapewire.contracts.catalogue import ADAPTER, EVENT_TYPES
from tapewire.contracts.ids import new_id
from tapewire.contracts.message import Event
from tapewire.contracts.quality import Quality
from tapewire.contracts.routing import quality_of

MAX_EVENT_BYTES: Final = 65_536  # one client message; the protocol's `messageBytes`


class FieldError(NamedTuple):
    """One thing that is wrong with an event: the field's path on the wire, and why."""

    field: str
    message: str


class InvalidEvent(ValueError):
    """The input is no event. ``errors`` names each field; an empty name is the whole input."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__(
            "; ".join(f"{e.field}: {e.message}" if e.field else e.message for e in errors)
        )
        self.errors = errors


def parse_event(
    raw: bytes | str | Mapping[str, Any],
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    make_id: Callable[[], str] = new_id,
) -> Event:
    """Return the event that ``raw`` is, with ``id`` and ``timestamp`` stamped where absent.

    Args:
        raw: one JSON object as text, or the object itself (camelCase names).
        now: the time for an event that brings none.
        make_id: the id for an event that brings none.

    Raises:
        InvalidEvent: with every field that is wrong.
    """
    fields = dict(raw) if isinstance(raw, Mapping) else _object(raw)
    if fields.get("id") is None:
        fields["id"] = make_id()
    if fields.get("timestamp") is None:
        fields["timestamp"] = now()
    try:
        event = ADAPTER.validate_python(fields, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidEvent([_field_error(e) for e in error.errors(include_url=False)]) from None
    if event.ack and event.quality is Quality.LIVE:
        raise InvalidEvent(
            [FieldError("ack", f"{event.type} is live: it cannot be kept until acked")]
        )
    return event


def encode(event: Event) -> bytes:
    """Return the event as the client's message: camelCase JSON without nulls.

    A critical event says ``"ack":true``, whoever made it.
    """
    if event.ack is not True and quality_of(event) is Quality.CRITICAL:
        event = event.model_copy(update={"ack": True})
    elif event.ack is False:
        event = event.model_copy(update={"ack": None})
    return event.model_dump_json(by_alias=True, exclude_none=True).encode()


def _object(raw: bytes | str) -> dict[str, Any]:
    if len(raw) > MAX_EVENT_BYTES:
        raise InvalidEvent([FieldError("", f"longer than {MAX_EVENT_BYTES} bytes")])
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidEvent([FieldError("", f"not JSON: {error}")]) from None
    if not isinstance(value, dict):
        raise InvalidEvent([FieldError("", "not a JSON object")])
    return value  # pyright: ignore[reportUnknownVariableType]


def _field_error(error: ErrorDetails) -> FieldError:
    if error["type"] in {"union_tag_not_found", "union_tag_invalid"}:
        known = ", ".join(sorted(EVENT_TYPES))
        return FieldError("type", f"must be one of: {known}")
    path = error["loc"][1:] if error["loc"] and error["loc"][0] in EVENT_TYPES else error["loc"]
    return FieldError(".".join(map(str, path)), error["msg"])
