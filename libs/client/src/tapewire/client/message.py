"""One event as a handler gets it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from pydantic import ValidationError
from pydantic_core import from_json

from tapewire.contracts import EVENT_TYPES, Event, Quality

E_co = TypeVar("E_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Message(Generic[E_co]):
    """A message of the client protocol: typed where its type is known, raw always.

    Attributes:
        raw: the JSON object as it came; ``message["sessionId"]`` reads from it.
        event: the contracts' model, without fields that this version does not know; None when the
            type is unknown, or when the message does not fit the model that this version has.
    """

    raw: Mapping[str, Any]
    event: E_co

    @property
    def type(self) -> str:
        """The wire's ``type``."""
        return str(self.raw["type"])

    @property
    def id(self) -> str | None:
        """The message's id, if it has one."""
        value = self.raw.get("id")
        return value if isinstance(value, str) and value else None

    @property
    def known(self) -> bool:
        """Whether this version of the SDK knows the type."""
        return self.type in EVENT_TYPES or self.type == "acked"

    @property
    def wants_ack(self) -> bool:
        """Whether the server keeps the message until it is acknowledged."""
        return self.raw.get("ack") is True and self.id is not None

    @property
    def redelivered(self) -> bool:
        """Whether the server sent it before."""
        return self.raw.get("redelivered") is True

    @property
    def snapshot(self) -> bool:
        """Whether it states how things are, instead of telling what just happened."""
        return self.raw.get("snapshot") is True

    @property
    def dedup_id(self) -> str | None:
        """The id by which it is handled once; None for live values, snapshots and the id-less."""
        if self.snapshot:
            return None
        model = EVENT_TYPES.get(self.type)
        return None if model is not None and model.quality is Quality.LIVE else self.id

    def __getitem__(self, field: str) -> Any:
        return self.raw[field]

    def get(self, field: str, default: Any = None) -> Any:
        """Return a raw field, or ``default``."""
        return self.raw.get(field, default)


def read_object(text: str | bytes) -> dict[str, Any] | None:
    """Return the JSON object with a ``type`` that ``text`` is, or None."""
    try:
        value = from_json(text)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    return fields if isinstance(fields.get("type"), str) else None


def to_message(raw: Mapping[str, Any]) -> Message[Any]:
    """Return the message that ``raw`` is; it has a ``type``."""
    model = EVENT_TYPES.get(raw["type"])
    event: Event | None = None
    if model is not None:
        try:
            event = model.model_validate(raw, extra="ignore", by_alias=True, by_name=False)
        except ValidationError:
            event = None  # a newer producer's shape: the raw object still says it
    return Message(raw, event)
