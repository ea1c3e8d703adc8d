"""Clients' commands: published to ``tw.ingest`` like any producer's event, then ``accepted``."""

import logging
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import ConfigDict

from tapewire.auth import Claims, require
from tapewire.broker import NotConfirmed, Publisher
from tapewire.broker.topology import INGEST
from tapewire.contracts.alerts import EmergencyStopRequested
from tapewire.contracts.codec import encode
from tapewire.contracts.frames import Accepted, Command
from tapewire.service import ApiError

log = logging.getLogger(__name__)

SCOPE = "risk:stop"


class Forbidden(PermissionError):
    """The token does not allow this command, or not for this user."""


class Commands:
    """Hands commands to the fleet's front door."""

    def __init__(self, publisher: Publisher, *, deadline_s: float) -> None:
        self._publisher = publisher
        self._deadline_s = deadline_s

    async def carry_out(self, command: Command, claims: Claims) -> Accepted:
        """Publish ``command`` and return once the broker confirmed it.

        The idempotency key is the event's id, so a command that is sent again is taken once.

        Raises:
            Forbidden: by scope or user.
            NotConfirmed: by the deadline; nobody knows whether it was taken: send it again.
        """
        user = command.user_id or claims.subject
        if not claims.may(SCOPE) or user not in claims.users:
            raise Forbidden
        event = EmergencyStopRequested(
            id=command.idempotency_key,
            timestamp=datetime.now(UTC),
            user_id=user,
            session_id=command.session_id,
            mode=command.mode,
            reason=command.reason,
            requested_by=claims.subject[:128],
            idempotency_key=command.idempotency_key,
        )
        await self._publisher.publish(
            INGEST,
            "command",
            encode(event),
            type=event.type,
            message_id=event.id,
            mandatory=True,
            deadline_s=self._deadline_s,
        )
        log.info("command accepted", extra={"command": command.command, "user": user})
        return Accepted(id=command.id, idempotency_key=command.idempotency_key)


class PostedCommand(Command):
    """A command over HTTP: the WebSocket message, closed, without ``type`` and ``id``."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["command"] = "command"


router = APIRouter(tags=["commands"])


@router.post("/v1/commands", status_code=202, summary="Ask for an emergency stop")
async def post_command(
    request: Request,
    command: PostedCommand,
    claims: Annotated[Claims, Depends(require(SCOPE))],
) -> Accepted:
    """Answer 202 once the broker confirmed the command; 503 when it did not in time."""
    commands: Commands = request.app.state.commands
    try:
        return await commands.carry_out(command, claims)
    except Forbidden as error:
        raise ApiError(403, "forbidden", "Not a user of this token.") from error
    except NotConfirmed as error:
        raise ApiError(
            503,
            "unavailable",
            "The broker did not confirm it: send it again.",
            headers={"Retry-After": "1"},
        ) from error
