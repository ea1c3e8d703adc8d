"""The outermost part of the HTTP surface that is ours: no body too large, no error unanswered."""

import logging

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tapewire.service.errors import ApiError, ErrorBody, error_response

log = logging.getLogger(__name__)


class Guard:
    """ASGI middleware: limits request bodies, and answers what nobody expected with a 500.

    FastAPI's own `max_body_size` answers in plain text and Starlette's own 500 lacks the CORS
    headers that let a browser read it; hence this, placed inside the CORS middleware.

    Args:
        app: the application.
        body_limit: bytes; a body that is longer, or says so, gets 413.
    """

    def __init__(self, app: ASGIApp, body_limit: int) -> None:
        self._app = app
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False
        received = 0

        async def receive_some() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._body_limit:
                raise self._too_large()
            return message

        async def send_on(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            if _declared_length(scope) > self._body_limit:
                raise self._too_large()
            await self._app(scope, receive_some, send_on)
        except ApiError as error:
            if started:
                raise
            await error_response(error.status_code, error.body)(scope, receive, send)
        except Exception:
            log.exception(
                "request failed", extra={"method": scope["method"], "path": scope["path"]}
            )
            if started:
                raise  # the client must see the response break off, not end
            body = ErrorBody(code="internal_error", message="The request failed; it is logged.")
            await error_response(500, body)(scope, receive, send)

    def _too_large(self) -> ApiError:
        return ApiError(413, "too_large", f"The body may have {self._body_limit} bytes.")


def _declared_length(scope: Scope) -> int:
    try:
        return int(Headers(scope=scope).get("content-length", "0"))
    except ValueError:
        return 0
