"""What client and edge say to each other besides events (subprotocol ``tapewire.v1``)."""

from enum import IntEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from tapewire.contracts.fields import Id, PrincipalId, Text

SUBPROTOCOL: Final = "tapewire.v1"

Channel = Annotated[str, Field(min_length=1, max_length=160)]
"""A channel's name, such as ``market:SPY``."""

CorrelationId = Annotated[int | str | None, Field(description="Echoed in the reply.")]


class Frame(BaseModel):
    """One message that is no event. Unknown fields are ignored (``protocol.md``)."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


class Authenticate(Frame):
    """First message of a client that could not send a header."""

    type: Literal["authenticate"] = "authenticate"
    token: str
    client_id: PrincipalId | None = None
    inbox: Literal["own"] | None = None
    resume: bool | None = None


class Subscribe(Frame):
    """Ask for channels; subscribing twice is harmless."""

    type: Literal["subscribe"] = "subscribe"
    id: CorrelationId = None
    channels: Annotated[list[Channel], Field(min_length=1, max_length=256)]


class Unsubscribe(Frame):
    """Give channels up."""

    type: Literal["unsubscribe"] = "unsubscribe"
    id: CorrelationId = None
    channels: Annotated[list[Channel], Field(min_length=1, max_length=256)]


class Ack(Frame):
    """The handler returned for these ids, or for all up to one. Idempotent."""

    type: Literal["ack"] = "ack"
    ids: Annotated[list[Id] | None, Field(max_length=1000)] = None
    up_to: Id | None = None


class Refresh(Frame):
    """A newer token for the same subject."""

    type: Literal["refresh"] = "refresh"
    id: CorrelationId = None
    token: str


class Command(Frame):
    """Please do. ``accepted`` means that the broker confirmed it."""

    type: Literal["command"] = "command"
    id: CorrelationId = None
    command: Literal["emergency_stop"]
    session_id: PrincipalId
    user_id: PrincipalId | None = None
    idempotency_key: Id
    mode: Literal["halt", "reduce_only", "flatten"] = "halt"
    reason: Text | None = None


class Heartbeat(Frame):
    """Still here, from either side."""

    type: Literal["heartbeat"] = "heartbeat"


ClientFrame = Annotated[
    Authenticate | Subscribe | Unsubscribe | Ack | Refresh | Command | Heartbeat,
    Field(discriminator="type"),
]
CLIENT_FRAMES: Final[TypeAdapter[Any]] = TypeAdapter(ClientFrame)


class Recovered(Frame):
    """What waited for the client, and whether something is missing for good."""

    critical: int
    recent: int
    gap: bool


class Limits(Frame):
    """What a connection may do."""

    messages_per_second: int
    channels: int
    message_bytes: int


class Welcome(Frame):
    """First message of the server; the connection is authenticated."""

    type: Literal["welcome"] = "welcome"
    connection_id: str
    user_id: str
    client_id: str | None = None
    heartbeat_interval: float
    server_time: str
    token_expires_in: int
    channels: list[str]
    recovered: Recovered
    limits: Limits


class Rejected(Frame):
    """A channel that was not given."""

    channel: str
    code: str


class Subscribed(Frame):
    """Reply to ``subscribe``; a snapshot of each channel follows where there is one."""

    type: Literal["subscribed"] = "subscribed"
    id: CorrelationId = None
    channels: list[str]
    rejected: list[Rejected] = []


class Unsubscribed(Frame):
    """Reply to ``unsubscribe``."""

    type: Literal["unsubscribed"] = "unsubscribed"
    id: CorrelationId = None
    channels: list[str]


class Refreshed(Frame):
    """Reply to ``refresh``."""

    type: Literal["refreshed"] = "refreshed"
    id: CorrelationId = None
    token_expires_in: int


class Accepted(Frame):
    """Reply to ``command``."""

    type: Literal["accepted"] = "accepted"
    id: CorrelationId = None
    idempotency_key: str


class Acked(Frame):
    """Another device of the user acknowledged these."""

    type: Literal["acked"] = "acked"
    ids: list[str]


class Draining(Frame):
    """The edge will close; come back at a random instant within the window."""

    type: Literal["draining"] = "draining"
    window_ms: int


ErrorCode = Literal[
    "forbidden",
    "rate_limited",
    "bad_message",
    "unknown_channel",
    "too_many_channels",
    "unavailable",
]


class Error(Frame):
    """A request was not carried out; the connection stays."""

    type: Literal["error"] = "error"
    id: CorrelationId = None
    code: ErrorCode
    message: str
    field: str | None = None
    retryable: bool = False
    retry_after_ms: int | None = None


ServerFrame = Annotated[
    Welcome
    | Subscribed
    | Unsubscribed
    | Refreshed
    | Accepted
    | Acked
    | Draining
    | Heartbeat
    | Error,
    Field(discriminator="type"),
]
SERVER_FRAMES: Final[TypeAdapter[Any]] = TypeAdapter(ServerFrame)


class CloseCode(IntEnum):
    """Why a connection ended. The range is the rule: 40xx reconnect, 45xx stop."""

    DRAINING = 4000
    SLOW_CONSUMER = 4001
    NO_HEARTBEAT = 4003
    TOKEN_EXPIRED = 4004
    OVERLOADED = 4005
    RATE_LIMITED = 4006
    TOKEN_REVOKED = 4007
    INVALID_TOKEN = 4500
    BAD_MESSAGE = 4501
    NO_AUTHENTICATION = 4502
    DISCONNECTED_BY_OPERATOR = 4503
    TOO_MANY_CONNECTIONS = 4504
    FORBIDDEN = 4505
    REPLACED = 4506


# RFC 6455, 7.4.1 and its registry: going away, no status, abnormal, internal error, service
# restart, try again later, bad gateway. None of them says that the client did wrong.
_RECONNECT: Final = frozenset({1001, 1005, 1006, 1011, 1012, 1013, 1014})


def may_reconnect(code: int) -> bool:
    """Return whether a client comes back after ``code``; all others stop (1009, 45xx, …)."""
    return code in _RECONNECT or 4000 <= code < 4100


def encode_frame(frame: Frame) -> bytes:
    """Return the frame as camelCase JSON without nulls."""
    return frame.model_dump_json(by_alias=True, exclude_none=True).encode()
