"""One client connection's conversation: what it may say when, and what is to be done about it.

Pure: ``Session.receive`` takes a text and returns what to do. The phases are one table.
"""

from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

from pydantic import ValidationError
from pydantic_core import from_json

from tapewire.contracts.frames import (
    CLIENT_FRAMES,
    Ack,
    Authenticate,
    CloseCode,
    Command,
    Error,
    ErrorCode,
    Frame,
    Heartbeat,
    Refresh,
    Subscribe,
    Unsubscribe,
)
from tapewire.edge.connection.limits import COSTS, Bucket, Limits


class Phase(StrEnum):
    """Where a connection is."""

    WAITING = "waiting"
    """No token yet: only ``authenticate`` and ``heartbeat`` are understood."""

    CHECKING = "checking"
    """A token is being verified."""

    ATTACHING = "attaching"
    """The user's mailbox is being opened; ``welcome`` follows."""

    LIVE = "live"
    """Everything is understood but ``authenticate``."""

    CLOSED = "closed"
    """A close frame was sent or received."""


class Step(StrEnum):
    """What happens to a connection."""

    TOKEN = "token"
    VERIFIED = "verified"
    WELCOMED = "welcomed"
    CLOSE = "close"


TRANSITIONS: Final[dict[Phase, dict[Step, Phase]]] = {
    Phase.WAITING: {Step.TOKEN: Phase.CHECKING, Step.CLOSE: Phase.CLOSED},
    Phase.CHECKING: {Step.VERIFIED: Phase.ATTACHING, Step.CLOSE: Phase.CLOSED},
    Phase.ATTACHING: {Step.WELCOMED: Phase.LIVE, Step.CLOSE: Phase.CLOSED},
    Phase.LIVE: {Step.CLOSE: Phase.CLOSED},
    Phase.CLOSED: {Step.CLOSE: Phase.CLOSED},
}


class IllegalStep(RuntimeError):
    """A step that the table does not have in this phase. Nothing was changed."""


class Do(NamedTuple):
    """Carry out a client's message."""

    frame: Authenticate | Subscribe | Unsubscribe | Ack | Refresh | Command


class Say(NamedTuple):
    """Send a frame to the client."""

    frame: Frame


class Hang(NamedTuple):
    """Close the connection."""

    code: CloseCode


Action: TypeAlias = Do | Say | Hang


class BadMessage(ValueError):
    """A text that is no message of the protocol. ``field`` is the path on the wire, or None."""

    def __init__(self, message: str, field: str | None = None, correlation: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.correlation = correlation if isinstance(correlation, int | str) else None


def decode(text: str | bytes | None) -> Frame:
    """Return the client message that ``text`` is.

    Raises:
        BadMessage: with the field that is wrong.
    """
    if text is None:
        raise BadMessage("binary messages are not part of the protocol")
    try:
        frame: Frame = CLIENT_FRAMES.validate_json(text)
    except ValidationError as error:
        raise _bad_message(error, text) from None
    if isinstance(frame, Ack) and frame.ids is None and frame.up_to is None:
        raise BadMessage("an ack names ids or upTo", "ids")
    return frame


def _bad_message(error: ValidationError, text: str | bytes) -> BadMessage:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return BadMessage("not JSON")
    correlation = _correlation(text)
    match first["type"]:
        case "union_tag_invalid" | "union_tag_not_found":
            return BadMessage("unknown or missing type", "type", correlation)
        case _:
            field = ".".join(map(str, first["loc"][1:])) or None
            return BadMessage(first["msg"], field, correlation)


def _correlation(text: str | bytes) -> Any:
    value = from_json(text)
    return value.get("id") if isinstance(value, dict) else None  # pyright: ignore


class Session:
    """A connection's phase and what it has used of its limits.

    Args:
        limits: what it may do.
        now: the time, seconds of a monotonic clock.
    """

    __slots__ = ("_bad", "_rate", "phase")

    def __init__(self, limits: Limits, now: float) -> None:
        self.phase = Phase.WAITING
        rate = float(limits.messages_per_s)
        self._rate = Bucket(rate, rate * 2, now)
        self._bad = Bucket(limits.bad_messages / 60, limits.bad_messages, now)

    def step(self, step: Step) -> None:
        """Go to the next phase.

        Raises:
            IllegalStep: the table has no such step; the phase stays.
        """
        try:
            self.phase = TRANSITIONS[self.phase][step]
        except KeyError:
            raise IllegalStep(f"{step} while {self.phase}") from None

    def receive(self, text: str | bytes | None, now: float) -> list[Action]:
        """Return what to do about a message. ``text`` is None for a binary one."""
        if self.phase is Phase.CLOSED:
            return []
        try:
            frame = decode(text)
            self._check_phase(frame)
        except BadMessage as bad:
            return self._refuse(bad, now)
        if wait_s := self._rate.take(now, COSTS.get(frame.type, 1.0)):  # type: ignore[attr-defined]
            if self._rate.exhausted:
                return [Hang(CloseCode.RATE_LIMITED)]
            return [
                Say(
                    _error(
                        "rate_limited", "slow down", frame, retry_after_ms=int(wait_s * 1000) + 1
                    )
                )
            ]
        if isinstance(frame, Heartbeat):
            return [Say(frame)]
        return [Do(frame)]  # type: ignore[arg-type]

    def _check_phase(self, frame: Frame) -> None:
        if isinstance(frame, Heartbeat):
            return
        if isinstance(frame, Authenticate) != (self.phase is Phase.WAITING):
            why = "authenticate first" if self.phase is Phase.WAITING else "authenticated already"
            raise BadMessage(why, "type", getattr(frame, "id", None))

    def _refuse(self, bad: BadMessage, now: float) -> list[Action]:
        error = Error(code="bad_message", message=bad.message, field=bad.field, id=bad.correlation)
        if self._bad.take(now):
            return [Say(error), Hang(CloseCode.BAD_MESSAGE)]
        return [Say(error)]


def _error(code: ErrorCode, message: str, frame: Frame, *, retry_after_ms: int | None) -> Error:
    return Error(
        id=getattr(frame, "id", None),
        code=code,
        message=message,
        retryable=True,
        retry_after_ms=retry_after_ms,
    )
