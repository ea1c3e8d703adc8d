"""Verifies tokens."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Any, Self, TypeVar

import jwt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tapewire.auth.claims import EVERYONE, Claims
from tapewire.auth.errors import ExpiredToken, InvalidToken, TokenError
from tapewire.auth.keys import Key, Keys, KeySet, SharedSecret
from tapewire.auth.revoking import Revoking
from tapewire.auth.settings import AuthSettings
from tapewire.service import metrics

T = TypeVar("T")

LEEWAY_S = 30  # clocks of issuer and verifier differ by less
REQUIRED = ("exp", "iss", "aud", "sub")
MAX_TOKEN_CHARS = 8_192  # also what HTTP servers accept as a header line
MAX_USER_CHARS = 256
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

    def __init__(
        self, keys: Keys, *, issuer: str, audience: str, revoking: Revoking | None = None
    ) -> None:
        self._keys = keys
        self._revoking = revoking
        self._issuer = issuer
        self._audience = audience

    @classmethod
    def from_settings(cls, settings: AuthSettings, revoking: Revoking | None = None) -> Self:
        """Return the verifier for a secret or for a key set, whichever is configured.

        Args:
            settings: where the keys are.
            revoking: knows which tokens were taken back; a component of its own.
        """
        keys: Keys
        if settings.jwt_secret is not None:
            keys = SharedSecret(settings.jwt_secret.get_secret_value())
        else:
            assert settings.jwks_url is not None  # AuthSettings holds exactly one
            keys = KeySet(settings.jwks_url)
        return cls(
            keys,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            revoking=revoking,
        )

    async def verify(self, token: str) -> Claims:
        """Return what the token says.

        Raises:
            ExpiredToken: its time has passed, by more than the leeway.
            RevokedToken: it was taken back; another may be good.
            InvalidToken: it is not good, see `.reason`.
            Unverifiable: the key set, or what was revoked, could not be read yet.
        """
        try:
            if len(token) > MAX_TOKEN_CHARS:
                raise InvalidToken("malformed")
            header = _guarded(lambda: _header(token.partition(".")[0]))
            key = await self._keys.find(header)
            claims = claims_of(_guarded(lambda: self._decode(token, key)))
            if self._revoking is not None:
                await self._revoking.check(claims)
            return claims
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
            # `iat` tells a token's age (RFC 7519 §4.1.6); what says from when it is good is `nbf`.
            # Else a server whose clock is put back turns everybody away, for good.
            options={"require": list(REQUIRED), "verify_iat": False},
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
        return self._keys.fault if isinstance(self._keys, KeySet) else None


@lru_cache(maxsize=64)
def _header(segment: str) -> Mapping[str, Any]:
    """Return the header of a token that begins so: all of one key have the same."""
    return MappingProxyType(jwt.get_unverified_header(f"{segment}.e30."))


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
    try:
        found = _Payload.model_validate(payload)
        expires_at = datetime.fromtimestamp(found.exp, UTC)  # fails past the year 9999
    except (ValueError, OverflowError, OSError):
        raise InvalidToken("malformed claim") from None
    return Claims(
        subject=found.sub,
        scopes=frozenset(found.scope.split()),
        supervises=frozenset(found.supervises),
        expires_at=expires_at,
        token_id=found.jti,
        issued_at=found.iat,
    )


def _not_everyone(user: str) -> str:
    if user == EVERYONE:
        raise ValueError("addresses everybody and is nobody's id")
    return user


_UserId = Annotated[
    str, Field(min_length=1, max_length=MAX_USER_CHARS), AfterValidator(_not_everyone)
]


class _Payload(BaseModel):
    """The claims that are read, in their types (RFC 7519 §4.1, RFC 8693 §4.2 for `scope`)."""

    model_config = ConfigDict(strict=True)

    sub: _UserId
    exp: float
    scope: str = ""
    supervises: list[_UserId] = Field(default_factory=list[str], max_length=MAX_SUPERVISED)
    jti: str | None = None
    iat: float | None = None
