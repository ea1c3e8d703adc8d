"""With which code a connection ends whose token is refused. Pure."""

from tapewire.auth import ExpiredToken, RevokedToken, TokenError, Unverifiable
from tapewire.contracts.frames import CloseCode


def close_code(error: TokenError) -> CloseCode:
    """Return the code that tells a client whether to come back, and with what."""
    match error:
        case ExpiredToken():
            return CloseCode.TOKEN_EXPIRED
        case RevokedToken():
            return CloseCode.TOKEN_REVOKED
        case Unverifiable():
            return CloseCode.OVERLOADED
        case _:
            return CloseCode.INVALID_TOKEN
