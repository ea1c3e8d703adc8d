"""What the end of a connection means: come back, or stop with a clear exception."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from websockets.exceptions import ConnectionClosed, InvalidStatus

from tapewire.client.errors import ConnectionStopped, Replaced, TokenRefused
from tapewire.contracts.frames import CloseCode, may_reconnect

ABNORMAL: Final = 1006  # RFC 6455, 7.4.1: no closing handshake

_WHAT: Final[dict[int, str]] = {
    1009: "a message was too big",
    CloseCode.INVALID_TOKEN: "invalid token",
    CloseCode.BAD_MESSAGE: "the server could not read this client's messages",
    CloseCode.NO_AUTHENTICATION: "no authentication in time",
    CloseCode.DISCONNECTED_BY_OPERATOR: "disconnected by an operator",
    CloseCode.TOO_MANY_CONNECTIONS: "too many connections of this user",
    CloseCode.FORBIDDEN: "forbidden origin or scope",
    CloseCode.REPLACED: "replaced by a newer connection of the same client id",
}
_ANOTHER_TOKEN: Final[dict[int, str]] = {
    CloseCode.TOKEN_EXPIRED: "expired",
    CloseCode.TOKEN_REVOKED: "was revoked",
}
"""After which a client comes back with another token, if it can have one."""

_ERRORS: Final[dict[int, type[ConnectionStopped]]] = {
    CloseCode.INVALID_TOKEN: TokenRefused,
    CloseCode.REPLACED: Replaced,
    HTTPStatus.UNAUTHORIZED: TokenRefused,
    HTTPStatus.FORBIDDEN: TokenRefused,
}
_RETRIED_STATUSES: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection, or a try at one, ended.

    Attributes:
        code: close code, HTTP status of a refused handshake, or None (no such host, time-out).
        stop: what to raise if coming back makes no sense; None: come back.
    """

    reason: str
    code: int | None = None
    stop: ConnectionStopped | None = None


def ending_of(error: BaseException, *, renewable_token: bool) -> Ending:
    """Return what ``error`` means, raised by a connection or by a try at one.

    Args:
        error: whatever dialling, reading or the token callback raised.
        renewable_token: whether a callback can give another token.
    """
    if isinstance(error, ConnectionClosed):
        code = error.rcvd.code if error.rcvd else error.sent.code if error.sent else ABNORMAL
        reason = error.rcvd.reason if error.rcvd else error.sent.reason if error.sent else ""
        return _closed(code, reason, renewable_token=renewable_token)
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        words = f"handshake refused with HTTP {status}"
        if 400 <= status < 500 and status not in _RETRIED_STATUSES:
            kind = _ERRORS.get(status, ConnectionStopped)
            return Ending(words, status, kind(status, what="handshake refused"))
        return Ending(words, status)
    if isinstance(error, TimeoutError):
        return Ending("no answer in time")
    return Ending(f"{type(error).__name__}: {error}")


def _closed(code: int, reason: str, *, renewable_token: bool) -> Ending:
    if code in _ANOTHER_TOKEN and not renewable_token:
        what = f"the token {_ANOTHER_TOKEN[code]}; pass a callable as token to have it renewed"
        return Ending(what, code, TokenRefused(code, reason, what=what))
    if may_reconnect(code):
        return Ending(reason or f"closed with {code}", code)
    kind = _ERRORS.get(code, ConnectionStopped)
    what = _WHAT.get(code, "")
    return Ending(reason or what or f"closed with {code}", code, kind(code, reason, what=what))
