"""Where verification keys come from: a shared secret, or a key set fetched over HTTP.

The algorithm follows from the key, never from the token (RFC 8725 §3.1): an RSA key verifies
RS256 and nothing else, so a token signed with HS256 and the public key as secret finds no key.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import HMACAlgorithm
from jwt.utils import base64url_encode
from pydantic import BaseModel, ValidationError

from tapewire.auth.errors import InvalidToken, KeysUnavailable

log = logging.getLogger(__name__)

REFRESH_EVERY_S = 300.0  # a key withdrawn by the provider is trusted this much longer
KEEP_S = 86_400.0  # a provider that is away for a day does not lock everybody out
RETRY_EVERY_S = 2.0  # while there are none at all
UNKNOWN_KID_EVERY_S = 10.0  # at most one fetch in this time, however many unknown kids come
FETCH_TIMEOUT_S = 5.0
ALGORITHMS = frozenset({"RS256", "ES256", "EdDSA"})
MIN_RSA_BITS = 2048  # RFC 7518 §3.3


class KeySetDocument(BaseModel):
    """What stands at a JWKS URL (RFC 7517 §5)."""

    keys: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Key:
    """A verification key and the one algorithm that it is good for."""

    algorithm: str
    material: Any


class Keys(Protocol):
    """A source of keys."""

    async def find(self, header: Mapping[str, Any]) -> Key:
        """Return the key for a token with this header. Raises TokenError."""
        ...


class _Prepared(HMACAlgorithm):
    """HS256 that looks at its key once: PyJWT would for each token, at a sixth of its price."""

    def __init__(self) -> None:
        super().__init__(HMACAlgorithm.SHA256)
        self.prepare_key = lru_cache(maxsize=1)(super().prepare_key)  # type: ignore[method-assign]


class SharedSecret:
    """One HS256 key."""

    def __init__(self, secret: str) -> None:
        encoded = base64url_encode(secret.encode()).decode()
        key = jwt.PyJWK({"kty": "oct", "k": encoded}, "HS256")
        key.Algorithm = _Prepared()
        self._key = Key("HS256", key)

    async def find(self, header: Mapping[str, Any]) -> Key:
        """Return the key, whatever the header says."""
        return self._key


class KeySet:
    """The keys at a JWKS URL (RFC 7517), kept fresh in the background.

    A token whose key is known never waits for the network. One with an unknown `kid` waits for
    a fetch that all such tokens share, and is refused at once while the last is recent.

    Args:
        url: where the provider publishes its keys.
        client: asks for them; made on first use unless given, closed by `close` either way.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        client: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._client = client
        self._clock = clock
        self._keys: dict[str | None, Key] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._fault = "none fetched yet"

    async def find(self, header: Mapping[str, Any]) -> Key:
        """Return the key that the header's `kid` names, or the only one for its algorithm.

        Raises:
            InvalidToken: no key here can verify such a token.
            KeysUnavailable: the set was never fetched, or too long ago.
        """
        kid, algorithm = header.get("kid"), header.get("alg")
        if kid is not None and not isinstance(kid, str):
            raise InvalidToken("malformed")
        if algorithm not in ALGORITHMS:
            raise InvalidToken("wrong algorithm")  # no key set has a key for it: do not ask
        if not self._within(KEEP_S):
            await self._fetch(wait=True)
            if not self._within(KEEP_S):
                raise KeysUnavailable
        elif not self._within(REFRESH_EVERY_S):
            await self._fetch(wait=False)
        key = self._lookup(kid, algorithm)
        if key is None:
            await self._fetch(wait=True)
            key = self._lookup(kid, algorithm)
        if key is None:
            raise InvalidToken("unknown key")
        return key

    @property
    def fault(self) -> str | None:
        """Why nothing can be verified; None when there are keys."""
        return None if self._within(KEEP_S) else f"no keys: {self._fault}"

    def _within(self, age_s: float) -> bool:
        return self._fetched_at is not None and self._clock() - self._fetched_at <= age_s

    def _lookup(self, kid: str | None, algorithm: str) -> Key | None:
        if kid is not None:
            return self._keys.get(kid)
        fitting = [key for key in self._keys.values() if key.algorithm == algorithm]
        return fitting[0] if len(fitting) == 1 else None

    async def _fetch(self, *, wait: bool) -> None:
        """Fetch the set unless that was tried just now; one fetch at a time."""
        if self._fetching is None or self._fetching.done():
            pause = UNKNOWN_KID_EVERY_S if self._keys else RETRY_EVERY_S
            if self._tried_at is not None and self._clock() - self._tried_at < pause:
                return
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._replace_keys(), name="jwks-fetch")
        if wait:
            await asyncio.shield(self._fetching)

    async def _replace_keys(self) -> None:
        if self._client is None:
            self._client = httpx.AsyncClient()
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                response = await self._client.get(self._url)
            keys = parse_key_set(response.raise_for_status().json())
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
            self._fault = f"{type(error).__name__} at the key set's URL"
            log.warning("key set not fetched", extra={"url": self._url, "reason": str(error)})
            return
        if keys.keys() != self._keys.keys():
            log.info("key set changed", extra={"kids": [str(kid) for kid in keys]})
        self._keys = keys
        self._fetched_at = self._clock()

    async def start(self) -> None:
        """Begin to keep the set fresh. Waits for nothing."""
        self._refreshing = asyncio.create_task(self._keep_fresh(), name="jwks-refresh")

    async def _keep_fresh(self) -> None:
        while True:
            await self._fetch(wait=True)
            fresh = self._within(REFRESH_EVERY_S)
            await asyncio.sleep(REFRESH_EVERY_S if fresh else RETRY_EVERY_S)

    async def close(self) -> None:
        """End what is under way and close connections."""
        tasks = [task for task in (self._refreshing, self._fetching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()


def parse_key_set(document: Any) -> dict[str | None, Key]:
    """Return the usable signature keys of a JWKS document by `kid`; others are passed over.

    Raises:
        ValueError: it is no JWKS document, or has no usable key.
    """
    try:
        entries = KeySetDocument.model_validate(document).keys
    except ValidationError as error:
        raise ValueError("no JWKS document") from error
    found: dict[str | None, Key] = {}
    for entry in entries:
        if entry.get("use", "sig") != "sig":
            continue
        try:
            key = _pin(jwt.PyJWK.from_dict(entry).key)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        if key is not None and entry.get("alg", key.algorithm) == key.algorithm:
            found[entry.get("kid")] = key
    if not found:
        raise ValueError("no usable key")
    return found


def _pin(material: object) -> Key | None:
    """Return a public key with its algorithm; None for any other kind, above all for `oct`."""
    match material:
        case RSAPublicKey() if material.key_size >= MIN_RSA_BITS:
            return Key("RS256", material)
        case EllipticCurvePublicKey() if isinstance(material.curve, SECP256R1):
            return Key("ES256", material)
        case Ed25519PublicKey():
            return Key("EdDSA", material)
        case _:
            return None
