"""What can go wrong, and what the caller is to do about it.

::

    ClientError
    ├── ConnectionStopped      the server ended the connection for good: it will not come back
    │   ├── TokenRefused       the token is invalid, or expired or revoked and cannot be renewed
    │   └── Replaced           a newer connection of the same client id took over
    ├── GaveUp                 ``max_attempts`` tries in a row failed
    ├── NotConnected           the call needs a connection and there is none: call again later
    ├── RequestRefused         the server answered with an error; ``code`` says which
    ├── RequestLost            no answer: what was asked may or may not have been done
    ├── NotConfirmed           an event may or may not have been taken: publish it again, same id
    └── NotPermitted           the ingest refuses this token (401, 403)

``InvalidEvent`` (of ``tapewire.contracts``) is raised before anything is sent and names the fields.
"""

from tapewire.contracts import Event


class ClientError(Exception):
    """Any failure of the SDK that is not the caller's own handler's."""


class ConnectionStopped(ClientError):
    """The connection ended with a code that forbids coming back.

    Attributes:
        code: the WebSocket close code, or the HTTP status that refused the handshake.
        reason: the server's words, may be empty.
    """

    def __init__(self, code: int, reason: str = "", *, what: str = "") -> None:
        words = ": ".join(part for part in (what, reason) if part)
        super().__init__(f"stopped by the server with {code}" + (f" ({words})" if words else ""))
        self.code = code
        self.reason = reason


class TokenRefused(ConnectionStopped):
    """The token is not accepted, and another try with it would not help."""


class Replaced(ConnectionStopped):
    """Another connection with this client id is now the one."""


class GaveUp(ClientError):
    """As many tries in a row as were allowed have failed; the last failure is the cause."""

    def __init__(self, attempts: int, last: str) -> None:
        super().__init__(f"gave up after {attempts} failed attempts: {last}")
        self.attempts = attempts


class NotConnected(ClientError):
    """There is no connection for this call."""


class RequestRefused(ClientError):
    """The server answered a request with an error.

    Attributes:
        code: ``forbidden``, ``rate_limited``, ``bad_message``, ``unknown_channel``,
            ``too_many_channels``, ``unavailable``, or one that is newer than this SDK.
        retryable: whether the same request may succeed later.
        retry_after_s: how long to wait before it, if the server said so.
    """

    def __init__(
        self, code: str, message: str, *, retryable: bool, retry_after_s: float | None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class RequestLost(ClientError):
    """The connection ended, or time ran out, before the answer came."""


class NotConfirmed(ClientError):
    """The broker's word on an event did not come within its deadline.

    The event may have been taken all the same. Publishing ``event`` again is safe: it carries its
    id, and a repeated id is taken once.
    """

    def __init__(self, event: Event, reason: str) -> None:
        super().__init__(f"{event.type} {event.id} not confirmed: {reason}")
        self.event = event
        self.reason = reason


class NotPermitted(ClientError):
    """The ingest does not accept this token for this event."""
