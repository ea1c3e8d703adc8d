"""What every message has in common."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tapewire.contracts.fields import Id, PrincipalId, Timestamp
from tapewire.contracts.quality import Quality


class Model(BaseModel):
    """A frozen value: ``snake_case`` in Python, ``camelCase`` on the wire, closed."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,  # a string "inf" would pass as a number, and JSON has none
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


class Event(Model):
    """One message of the client protocol, as its producer publishes it.

    Subclasses declare their class of service and the kind that stands in their routing key.
    """

    quality: ClassVar[Quality]
    """The class that the type has unless it says ``ack`` or its level lifts it."""

    kind: ClassVar[str]
    """``<kind>.<detail>`` of the routing key; ``{field}`` stands for that field's value."""

    shown: ClassVar[bool] = True
    """Whether clients see it; commands and their acknowledgements travel on the bus only."""

    type: str
    id: Id
    timestamp: Timestamp
    ack: Annotated[
        bool | None,
        Field(description="True: kept until its user acknowledged it (lifts recent to critical)."),
    ] = None


class UserEvent(Event):
    """An event of one user."""

    user_id: PrincipalId


class SessionEvent(UserEvent):
    """An event of one trading session of one user."""

    session_id: PrincipalId
