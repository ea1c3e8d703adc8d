"""Revoking tokens: `/v1/revocations`, of any edge.

A revocation is written to the broker's log, which every service that accepts tokens reads (ADR 24).
"""

import logging
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tapewire.auth import Claims, Revoking, require
from tapewire.auth.revocations import LONGEST
from tapewire.broker import NotConfirmed, Publisher, topology
from tapewire.contracts import TokenRevocation, new_id
from tapewire.contracts.fields import Timestamp
from tapewire.contracts.revocations import MAX_TOKEN_ID, MAX_USER
from tapewire.service.errors import ApiError

log = logging.getLogger(__name__)

SCOPE = "admin"
DEADLINE_S: Final = 5.0


class ToRevoke(BaseModel):
    """A token by its `jti`, or all tokens of a user that were issued before a time."""

    model_config = ConfigDict(extra="forbid")

    token_id: str | None = Field(
        default=None, alias="tokenId", min_length=1, max_length=MAX_TOKEN_ID, description="`jti`"
    )
    user_id: str | None = Field(
        default=None, alias="userId", min_length=1, max_length=MAX_USER, description="`sub`"
    )
    issued_before: Timestamp | None = Field(
        default=None,
        alias="issuedBefore",
        description="With userId; now when left out. A token without `iat` was issued before.",
    )
    expires_at: Timestamp | None = Field(
        default=None,
        alias="expiresAt",
        description="When the last of these tokens expires: the revocation is forgotten then. "
        "A year from now when left out, and at most.",
    )
    final: bool = Field(
        default=False,
        description="Clients are told to stay away (4500); else to come back with another "
        "token (4007).",
    )

    @model_validator(mode="after")
    def _names_one_thing(self) -> "ToRevoke":
        if (self.token_id is None) == (self.user_id is None):
            raise ValueError("name a tokenId or a userId")
        if self.issued_before is not None and self.user_id is None:
            raise ValueError("issuedBefore goes with userId")
        return self

    def said(self, *, by: str, now: datetime) -> TokenRevocation:
        """Return the revocation."""
        latest = now + LONGEST
        before = None if self.user_id is None else (self.issued_before or now)
        return TokenRevocation(
            token_id=self.token_id,
            user_id=self.user_id,
            issued_before=before,
            final=self.final,
            until=min(self.expires_at or latest, latest),
            revoked_at=now,
            revoked_by=by,
        )


router = APIRouter(tags=["operators"])


@router.post("/v1/revocations", status_code=202, summary="Revoke a token, or a user's tokens")
async def revoke(
    request: Request, asked: ToRevoke, claims: Annotated[Claims, Depends(require(SCOPE))]
) -> TokenRevocation:
    """Answer 202 once the broker has it; every service hears of it within moments, or on return."""
    publisher: Publisher = request.app.state.publisher
    said = asked.said(by=claims.subject, now=datetime.now(UTC))
    try:
        await publisher.publish(
            "",
            topology.REVOCATIONS.name,
            said.model_dump_json(by_alias=True, exclude_none=True).encode(),
            type=said.type,
            message_id=new_id(),
            mandatory=True,
            deadline_s=DEADLINE_S,
        )
    except NotConfirmed as error:
        raise ApiError(
            503,
            "unavailable",
            "The broker did not confirm it: nothing may be revoked. Send it again.",
            headers={"Retry-After": "1"},
        ) from error
    log.warning(
        "token revoked by an operator",
        extra={"user": said.user_id, "token": said.token_id, "by": claims.subject},
    )
    return said


@router.get("/v1/revocations", summary="What is revoked")
async def revocations(
    request: Request, _: Annotated[Claims, Depends(require(SCOPE))]
) -> list[TokenRevocation]:
    """What this edge knows of, without what concerns expired tokens only; the newest first."""
    revoking: Revoking = request.app.state.revoking
    return revoking.listed()
