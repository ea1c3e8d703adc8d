"""FastAPI dependencies: who is asking, and may they?"""

import logging
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from tapewire.auth.claims import Claims
from tapewire.auth.errors import (
    ExpiredToken,
    KeysUnavailable,
    RevokedToken,
    TokenError,
    Unverifiable,
)
from tapewire.auth.verifier import Verifier
from tapewire.service.errors import ApiError

log = logging.getLogger(__name__)

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="`tapewire token`")


async def authenticated(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Claims:
    """Return the claims of the request's bearer token; `app.state.verifier` checks it.

    Raises:
        ApiError: 401 `no_token`, `expired_token`, `revoked_token` or `invalid_token`; 503
            `keys_unavailable` or `revocations_unknown`.
    """
    if credentials is None:
        raise ApiError(
            401,
            "no_token",
            "Send a token: Authorization: Bearer …",
            headers={"WWW-Authenticate": "Bearer"},
        )
    verifier: Verifier = request.app.state.verifier
    try:
        return await verifier.verify(credentials.credentials)
    except Unverifiable as error:
        raise ApiError(
            503,
            "keys_unavailable" if isinstance(error, KeysUnavailable) else "revocations_unknown",
            "Tokens cannot be verified at the moment.",
            headers={"Retry-After": "10"},
        ) from error
    except TokenError as error:
        address = request.client.host if request.client else None
        log.info("token refused", extra={"reason": error.reason, "address": address})
        match error:
            case ExpiredToken():
                code = "expired_token"
            case RevokedToken():
                code = "revoked_token"
            case _:
                code = "invalid_token"
        raise ApiError(
            401,
            code,
            f"The token was refused: {error.reason}.",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},  # RFC 6750 §3.1
        ) from error


def require(*scopes: str) -> Callable[..., Awaitable[Claims]]:
    """Return a dependency that wants every one of these scopes: `Depends(require("risk:stop"))`.

    Raises:
        ApiError: as `authenticated`, and 403 `forbidden` naming the missing scope.
    """

    async def claims(found: Annotated[Claims, Depends(authenticated)]) -> Claims:
        for scope in scopes:
            if not found.may(scope):
                raise ApiError(
                    403,
                    "forbidden",
                    f"The token lacks the scope {scope}.",
                    headers={
                        "WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'
                    },
                )
        return found

    return claims
