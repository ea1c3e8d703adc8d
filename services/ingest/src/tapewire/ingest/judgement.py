"""What becomes of one event at the door, before anything is published. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias

from pydantic import JsonValue
from pydantic_core import from_json, to_json

from tapewire.contracts import (
    EVERYONE,
    MAX_EVENT_BYTES,
    EmergencyStop,
    Event,
    FieldError,
    InvalidEvent,
    NotificationRead,
    PreferencesChanged,
    Route,
    SystemNotification,
    VolatilityAlert,
    parse_event,
    route,
    stop_command_key,
)
from tapewire.contracts.ids import MAX_ID_LENGTH

OWN_WORDS: Final = (NotificationRead, PreferencesChanged)
"""What only `desk` says: it follows from its database, so nobody else can know it."""

MAX_ERRORS: Final = 32  # they travel in an AMQP header, which must fit into one 128 KB frame
MAX_FIELD_CHARS: Final = 200
MAX_MESSAGE_CHARS: Final = 400


class Identity(NamedTuple):
    """What makes two events the same event: whose it is and its id.

    Producers that number their events per user do not collide; a repeated id is taken once
    whatever else the event says.
    """

    user: str | None
    id: str


@dataclass(frozen=True, slots=True)
class Fit:
    """An event that may be published. ``identity`` is None when the id was made here."""

    event: Event
    identity: Identity | None


@dataclass(frozen=True, slots=True)
class Unfit:
    """Input that is refused. ``forbidden``: for want of a scope, not for its shape."""

    id: str | None
    errors: tuple[FieldError, ...]
    forbidden: bool = False


Judged: TypeAlias = Fit | Unfit


def judge(
    raw: bytes | JsonValue,
    *,
    now: Callable[[], datetime],
    make_id: Callable[[], str],
    own_id: str | None = None,
    may_notify_everyone: bool = True,
) -> Judged:
    """Decide whether ``raw`` enters.

    Args:
        raw: one event as JSON text, or a decoded JSON value (which need not be an object).
        now: the time for an event that brings none.
        make_id: the id for an event that brings none.
        own_id: the id that its envelope gave an event that brings none (AMQP ``message_id``).
        may_notify_everyone: whether the producer may address the user ``all``.
    """
    if not isinstance(raw, bytes | Mapping):
        return Unfit(None, (FieldError("", "not a JSON object"),))
    if isinstance(raw, Mapping) and len(to_json(raw)) > MAX_EVENT_BYTES:
        return Unfit(_id_of(raw), (FieldError("", f"longer than {MAX_EVENT_BYTES} bytes"),))
    made: list[str] = []

    def stamp() -> str:
        made.append(make_id())
        return made[-1]

    try:
        event = parse_event(raw, now=now, make_id=(lambda: own_id) if own_id else stamp)
    except InvalidEvent as error:
        return Unfit(_id_of(raw), _bounded(error.errors))
    errors = _unwelcome(event)
    if errors:
        return Unfit(event.id, errors)
    user: str | None = getattr(event, "user_id", None)
    if user == EVERYONE and not may_notify_everyone:
        reason = FieldError("userId", f"{EVERYONE!r} needs the scope notices:write")
        return Unfit(event.id, (reason,), forbidden=True)
    return Fit(event, None if made else Identity(user, event.id))


def destinations(event: Event) -> tuple[Route, ...]:
    """Return every place that ``event`` is published to; it is taken once all have confirmed.

    A stop order goes to the people on ``tw.alerts`` and to the executors on ``tw.events``.
    """
    if isinstance(event, EmergencyStop):
        return (Route("tw.events", stop_command_key(event)), route(event))
    return (route(event),)


def _unwelcome(event: Event) -> tuple[FieldError, ...]:
    if isinstance(event, OWN_WORDS):
        return (FieldError("type", f"{event.type} is said by the desk service only"),)
    if isinstance(event, VolatilityAlert) and event.user_id is None:
        return (FieldError("userId", "Field required; market-wide alerts come from the market"),)
    if getattr(event, "user_id", None) == EVERYONE and not isinstance(event, SystemNotification):
        return (FieldError("userId", f"{EVERYONE!r} is for system_notification only"),)
    return ()


def _id_of(raw: bytes | Mapping[str, Any]) -> str | None:
    """Return the id that an unfit event says, so that its producer knows which one it is."""
    if isinstance(raw, bytes):
        try:
            value = from_json(raw) if len(raw) <= MAX_EVENT_BYTES else None
        except ValueError:
            return None
    else:
        value = raw
    found = value.get("id") if isinstance(value, Mapping) else None
    return found[:MAX_ID_LENGTH] if isinstance(found, str) else None


def _bounded(errors: list[FieldError]) -> tuple[FieldError, ...]:
    shown = [FieldError(e.field[:MAX_FIELD_CHARS], e.message[:MAX_MESSAGE_CHARS]) for e in errors]
    if len(shown) > MAX_ERRORS:
        more = len(shown) - MAX_ERRORS + 1
        shown[MAX_ERRORS - 1 :] = [FieldError("", f"and {more} more")]
    return tuple(shown)
