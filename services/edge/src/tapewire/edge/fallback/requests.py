"""The HTTP routes of connections without a WebSocket (docs/protocol.md, "Without WebSocket")."""

from collections.abc import Awaitable
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi.security import HTTPBearer

from tapewire.edge.fallback.fallback import Fallbacks, Refused, refusal
from tapewire.edge.fallback.forwarding import Asked

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="`tapewire token`")

REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"description": "No token, or not a good one; `closeCode` says which"},
    403: {"description": "Origin not allowed"},
    410: {"description": "No such connection: open another"},
    429: {"description": "Too many connections"},
    503: {"description": "Come back: draining or overloaded"},
}

ClientId = Annotated[str | None, Query(alias="clientId", description="Names the device")]
Inbox = Annotated[Literal["own"] | None, Query(description="An inbox of its own")]
Resume = Annotated[bool | None, Query(description="This client was here before")]
ConnectionId = Annotated[str, Query(alias="connectionId", max_length=64)]
Received = Annotated[int, Query(ge=0, description="Number of the newest message received")]

router = APIRouter(tags=["without WebSocket"], dependencies=[Depends(_bearer)], responses=REFUSALS)


@router.get("/v1/stream", summary="Open a connection that writes server-sent events")
async def stream(
    request: Request, client_id: ClientId = None, inbox: Inbox = None, resume: Resume = None
) -> Response:
    """Each event's data is one message of the protocol; what the client says is posted."""
    return await _answered(_fallbacks(request).stream(request))


@router.get("/v1/poll", summary="Open a connection, or fetch what it has")
async def poll(
    request: Request,
    client_id: ClientId = None,
    inbox: Inbox = None,
    resume: Resume = None,
    connection_id: Annotated[str | None, Query(alias="connectionId", max_length=64)] = None,
    cursor: Received = 0,
) -> Response:
    """Without `connectionId` a connection is opened, and `welcome` is the first message."""
    fallbacks = _fallbacks(request)
    if connection_id is None:
        return await _answered(fallbacks.first_poll(request))
    return await _answered(fallbacks.ask(request, Asked("poll", connection_id, cursor)))


@router.post("/v1/messages", status_code=204, summary="Say something on a connection")
async def messages(
    request: Request,
    connection_id: ConnectionId,
    received: Received = 0,
    body: Annotated[bytes, Body(media_type="application/x-ndjson")] = b"",
) -> Response:
    """Any client message of the protocol, one a line; replies come on the connection."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "not UTF-8"  # a bad message, as it would be in a text frame
    return await _answered(
        _fallbacks(request).ask(request, Asked("post", connection_id, received, text))
    )


@router.delete("/v1/messages", status_code=204, summary="Leave: end a connection")
async def leave(request: Request, connection_id: ConnectionId) -> Response:
    """What was not acknowledged comes again on the next one."""
    return await _answered(_fallbacks(request).ask(request, Asked("leave", connection_id)))


def _fallbacks(request: Request) -> Fallbacks:
    return request.app.state.fallbacks


async def _answered(answer: Awaitable[Response]) -> Response:
    try:
        return await answer
    except Refused as refused:
        return refusal(refused)
