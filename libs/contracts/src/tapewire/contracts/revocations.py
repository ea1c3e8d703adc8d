"""What makes tokens bad before they expire: kept on the broker, read by whoever accepts tokens."""

from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from tapewire.contracts.fields import Timestamp
from tapewire.contracts.message import Model

MAX_TOKEN_ID: Final = 256
MAX_USER: Final = 256  # what a token's `sub` may have


class TokenRevocation(Model):
    """A token, or all that a user was given before a time, are refused from now on.

    Read for a year, also by services older than their writer: unknown fields are ignored.
    """

    model_config = ConfigDict(extra="ignore")

    type: Literal["token_revocation"] = "token_revocation"
    token_id: Annotated[
        str | None,
        Field(min_length=1, max_length=MAX_TOKEN_ID, description="The token's `jti`; or userId."),
    ] = None
    user_id: Annotated[
        str | None, Field(min_length=1, max_length=MAX_USER, description="The tokens' `sub`.")
    ] = None
    issued_before: Annotated[
        Timestamp | None,
        Field(description="With userId: tokens whose `iat` is earlier, or that have none."),
    ] = None
    final: Annotated[
        bool, Field(description="Clients stay away. Otherwise they come back with another token.")
    ] = False
    until: Annotated[
        Timestamp, Field(description="When the last of these tokens has expired, and this goes.")
    ]
    revoked_at: Timestamp
    revoked_by: Annotated[str, Field(max_length=MAX_USER, description="The operator's user id.")]

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        if (self.token_id is None) == (self.user_id is None):
            raise ValueError("name a tokenId or a userId")
        if (self.user_id is None) != (self.issued_before is None):
            raise ValueError("issuedBefore goes with userId")
        return self
