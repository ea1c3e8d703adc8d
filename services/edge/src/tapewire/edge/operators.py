"""What an operator may do to connections: `POST /v1/connections/disconnect`.

Asked of any edge, it reaches all: the others hear of it on ``tw.relay``. It closes what is there
now (4503, which tells clients to stay away) and bars nobody: revoke the token for that.
"""

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from tapewire.auth import Claims, require
from tapewire.contracts import escape
from tapewire.edge.mailbox.mailboxes import Mailboxes
from tapewire.edge.mailbox.relay import Relays

log = logging.getLogger(__name__)

SCOPE = "admin"


class ToDisconnect(BaseModel):
    """Whose connections are to be closed: all of a user's, or one of them."""

    model_config = ConfigDict(extra="forbid")

    user_id: str = Field(alias="userId", min_length=1, max_length=64)
    connection_id: str | None = Field(
        default=None, alias="connectionId", max_length=64, description="As its `welcome` said."
    )


class Disconnected(BaseModel):
    """How many of them this edge had; the other edges were told."""

    here: int


router = APIRouter(tags=["operators"])


@router.post("/v1/connections/disconnect", status_code=202, summary="Close a user's connections")
async def disconnect(
    request: Request, asked: ToDisconnect, claims: Annotated[Claims, Depends(require(SCOPE))]
) -> Disconnected:
    """Close them here and have the other edges close theirs."""
    mailboxes: Mailboxes = request.app.state.mailboxes
    relays: Relays = request.app.state.relays
    word, connection_id = escape(asked.user_id), asked.connection_id or ""
    relays.hang_up(word, connection_id)
    count = mailboxes.hang_up(word, connection_id)
    log.warning(
        "disconnected by an operator",
        extra={"user": asked.user_id, "connection": connection_id, "by": claims.subject},
    )
    return Disconnected(here=count)
