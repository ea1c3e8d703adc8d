"""Verifies tokens."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

import jwt

from tapewire.auth.claims import EVERYONE, Claims
from tapewire.auth.errors import ExpiredToken, InvalidToken, TokenError
from tapewire.auth.keys import Key, Keys, KeySet, SharedSecret
from tapewire.auth.settings import AuthSettings
from tapewire.service import metrics

T = TypeVar("T")

LEEWAY_S = 30  # clocks of issuer and verifier differ by less
REQUIRED = ("exp", "iss", "aud", "sub")
MAX_TOKEN_CHARS = 8_192  # also what HTTP servers accept as a header line
MAX_SUBJECT_CHARS = 256
MAX_SUPERVISED = 1_000

_REASONS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.InvalidSignatureError, "bad signature"),
    (jwt.InvalidAudienceError, "wrong audience"),
    (jwt.InvalidIssuerError, "wrong issuer"),
    (jwt.ImmatureSignatureError, "not yet valid"),
    (jwt.MissingRequiredClaimError, "missing claim"),
    (jwt.InvalidAlgorithmError, "wrong algorithm"),
    (jwt.InvalidKeyError, "wrong algorithm"),
)


class Verifier:
    """Turns tokens into claims. Also a component: give it to `create_app` to fetch keys early."""

    name = "auth"

    def __init__(self, keys: Keys, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    @classmethod
    def from_settings(cls, settings: AuthSettings) -> Self:
        """Return the verifier for a secret or for a key set, whichever is configured."""
        keys: Keys
        if settings.jwt_secret is not None:
            keys = SharedSecret(settings.jwt_secret.get_secret_value())
        else:
            assert settings.jwks_url is not None  # AuthSettings holds exactly one
            keys = KeySet(settings.jwks_url)
        return cls(keys, issuer=settings.jwt_issuer, audience=settings.jwt_audience)

    async def verify(self, token: str) -> Claims:
        """Return what the token says.

        Raises:
            ExpiredToken: its time has passed, by more than the leeway.
            InvalidToken: it is not good, see `.reason`.
            KeysUnavailable: the key set could not be fetched yet.
        """
        try:
            if len(token) > MAX_TOKEN_CHARS:
                raise InvalidToken("malformed")
            header = _guarded(lambda: jwt.get_unverified_header(token))
            key = await self._keys.find(header)
            return claims_of(_guarded(lambda: self._decode(token, key)))
        except TokenError as error:
            metrics.counter(metrics.AUTH_FAILURES).add(1, {"reason": error.reason})
            raise

    def _decode(self, token: str, key: Key) -> dict[str, Any]:
        return jwt.decode(
            token,
            key.material,
            algorithms=[key.algorithm],
            audience=self._audience,
            issuer=self._issuer,
            leeway=LEEWAY_S,
            options={"require": list(REQUIRED)},
        )

    async def start(self) -> None:
        """Fetch the key set, if there is one. Does not fail when it is away."""
        if isinstance(self._keys, KeySet):
            await self._keys.start()

    async def drain(self) -> None:
        """Nothing to finish."""

    async def stop(self) -> None:
        """Close the connection to the key set."""
        if isinstance(self._keys, KeySet):
            await self._keys.close()

    def health(self) -> str | None:
        """Return the reason when no token can be verified."""
        return self._keys.unavailable if isinstance(self._keys, KeySet) else None


def _guarded(read: Callable[[], T]) -> T:
    """Run PyJWT's code, which lets some errors of hostile input through as they are."""
    try:
        return read()
    except jwt.ExpiredSignatureError:
        raise ExpiredToken from None
    except jwt.PyJWTError as error:
        for kind, reason in _REASONS:
            if isinstance(error, kind):
                raise InvalidToken(reason) from None
        raise InvalidToken("malformed") from None
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise InvalidToken("malformed") from None


def claims_of(payload: dict[str, Any]) -> Claims:
    """Return the claims of a payload whose signature, times, issuer and audience are good.

    Raises:
        InvalidToken: a claim of ours is not what it must be.
    """
    subject, scope, token_id = payload["sub"], payload.get("scope", ""), payload.get("jti")
    supervises = payload.get("supervises", [])
    if not (isinstance(scope, str) and isinstance(supervises, list)):
        raise InvalidToken("malformed claim")
    if len(supervises) > MAX_SUPERVISED or not all(map(_is_user, [subject, *supervises])):
        raise InvalidToken("malformed claim")
    if not math.isfinite(payload["exp"]):
        raise InvalidToken("malformed claim")
    try:
        expires_at = datetime.fromtimestamp(payload["exp"], UTC)
    except (ValueError, OverflowError, OSError):
        expires_at = datetime.max.replace(tzinfo=UTC)
    return Claims(
        subject=subject,
        scopes=frozenset(scope.split()),
        supervises=frozenset(supervises),
        expires_at=expires_at,
        token_id=token_id if isinstance(token_id, str) else None,
    )


def _is_user(value: object) -> bool:
    """True for an id that one user can have; `all` addresses everybody and is nobody's."""
    return isinstance(value, str) and 0 < len(value) <= MAX_SUBJECT_CHARS and value != EVERYONE
