"""Makes HS256 tokens for fleets that have a shared secret: one machine, tests, the demo."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import jwt

from tapewire.auth.claims import DEFAULT_SCOPES


def mint(
    secret: str,
    subject: str,
    *,
    scopes: Iterable[str] = DEFAULT_SCOPES,
    ttl_s: float = 600,
    supervises: Iterable[str] = (),
    issuer: str = "tapewire",
    audience: str = "tapewire",
    now: datetime | None = None,
) -> str:
    """Return a signed token.

    Args:
        secret: the fleet's TAPEWIRE_JWT_SECRET, 32 bytes or more.
        subject: user id.
        scopes: what the bearer may do; a trader's by default.
        ttl_s: seconds until it expires; may be negative in tests.
        supervises: further users whose events the bearer may see.
        issuer: claim `iss`.
        audience: claim `aud`.
        now: time of issue; the clock's by default.
    """
    issued = (now or datetime.now(UTC)).timestamp()
    claims: dict[str, Any] = {
        "sub": subject,
        "iss": issuer,
        "aud": audience,
        "iat": int(issued),
        "exp": int(issued + ttl_s),
        "jti": uuid.uuid4().hex,
        "scope": " ".join(scopes),
    }
    if supervised := list(supervises):
        claims["supervises"] = supervised
    return jwt.encode(claims, secret, algorithm="HS256")
