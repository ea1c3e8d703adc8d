"""From an HTTP body to the events in it. Pure."""

from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue
from pydantic_core import from_json

MAX_EVENTS: Final = 1000  # one request's answer stays below a second, and its results readable
NDJSON_TYPES: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)


class UnreadableBody(ValueError):
    """The body as a whole is refused; none of it was taken."""

    status = 422
    code = "invalid_body"


class TooManyEvents(UnreadableBody):
    """More events than one request may bring."""

    status = 413
    code = "too_many_events"


@dataclass(frozen=True, slots=True)
class Batch:
    """The raw events of one request, in order.

    ``single``: the body was one object, so the answer's status speaks of that event.
    ``items``: text (one NDJSON line) or decoded JSON values of any kind.
    """

    items: tuple[bytes | JsonValue, ...]
    single: bool


def read(body: bytes, content_type: str = "") -> Batch:
    """Return the events in ``body``: an object, an array, or NDJSON.

    NDJSON by its content type; otherwise the body itself tells, so that what ``curl -d`` sends
    (``application/x-www-form-urlencoded``) is read as what it is.

    Raises:
        UnreadableBody: it is empty, or neither JSON nor NDJSON.
        TooManyEvents: it holds more than 1000.
    """
    if not body.strip():
        raise UnreadableBody("the body is empty")
    if content_type.partition(";")[0].strip().lower() in NDJSON_TYPES:
        return _lines(body)
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        if _is_several_objects(body):
            return _lines(body)
        raise UnreadableBody(f"not JSON: {error}") from None
    if isinstance(value, list):
        return Batch(_counted(tuple(value)), single=False)
    # The text, not the value: what is longer than an event may be is then refused unparsed.
    return Batch((body,), single=True)


def _lines(body: bytes) -> Batch:
    lines = (line.strip() for line in body.split(b"\n"))
    return Batch(_counted(tuple(line for line in lines if line)), single=False)


def _counted(items: tuple[bytes | JsonValue, ...]) -> tuple[bytes | JsonValue, ...]:
    if len(items) > MAX_EVENTS:
        raise TooManyEvents(f"{len(items)} events; at most {MAX_EVENTS} in one request")
    return items


def _is_several_objects(body: bytes) -> bool:
    first, _, rest = body.strip().partition(b"\n")
    return first.rstrip().endswith(b"}") and rest.lstrip().startswith(b"{")
