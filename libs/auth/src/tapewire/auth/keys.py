"""Where verification keys come from: a shared secret, or a key set fetched over HTTP.

The algorithm follows from the key, never from the token (RFC 8725 §3.1): an RSA key verifies
RS256 and nothing else, so a token signed with HS256 and the public key as secret finds no key.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tapewire.auth.errors import InvalidToken, KeysUnavailable

log = logging.getLogger(__name__)

REFRESH_EVERY_S = 300.0  # a key withdrawn by the provider is trusted this much longer
KEEP_S = 86_400.0  # a provider that is away for a day does not lock everybody out
UNKNOWN_KID_EVERY_S = 10.0  # at most one fetch in this time, however many unknown kids come
FETCH_TIMEOUT_S = 5.0
MAX_SET_BYTES = 262_144
MIN_RSA_BITS = 2048  # RFC 7518 §3.3


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


class SharedSecret:
    """One HS256 key."""

    def __init__(self, secret: str) -> None:
        self._key = Key("HS256", secret)

    async def find(self, header: Mapping[str, Any]) -> Key:
        """Return the key, whatever the header says."""
        return self._key


class KeySet:
    """The keys at a JWKS URL (RFC 7517), kept fresh in the background.

    A token whose key is known never waits for the network. One with an unknown `kid` waits for
    a fetch that all such tokens share, and is refused at once while the last is recent.

    Args:
        url: where the provider publishes its keys.
        client: for tests; made on first use otherwise.
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
        self.unavailable: str | None = "no keys yet"

    async def find(self, header: Mapping[str, Any]) -> Key:
        """Return the key that the header's `kid` names, or the only key when it names none."""
        kid = header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise InvalidToken("malformed")
        age = self._age()
        if age is None or age > KEEP_S:
            await self._fetch(wait=True)
            if self._age() is None:
                raise KeysUnavailable
        elif age > REFRESH_EVERY_S:
            await self._fetch(wait=False)
        key = self._lookup(kid)
        if key is None:
            await self._fetch(wait=True)
            key = self._lookup(kid)
        if key is None:
            raise InvalidToken("unknown key")
        return key

    def _age(self) -> float | None:
        return None if self._fetched_at is None else self._clock() - self._fetched_at

    def _lookup(self, kid: str | None) -> Key | None:
        if kid is not None:
            return self._keys.get(kid)
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None

    async def _fetch(self, *, wait: bool) -> None:
        """Fetch the set unless that was tried just now; one fetch at a time."""
        if self._fetching is None or self._fetching.done():
            now = self._clock()
            if self._tried_at is not None and now - self._tried_at < UNKNOWN_KID_EVERY_S:
                return
            self._tried_at = now
            self._fetching = asyncio.create_task(self._refresh(), name="jwks")
        if wait:
            await asyncio.shield(self._fetching)

    async def _refresh(self) -> None:
        try:
            if self._client is None:
                self._client = httpx.AsyncClient(timeout=FETCH_TIMEOUT_S)
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                response = await self._client.get(self._url)
            response.raise_for_status()
            if len(response.content) > MAX_SET_BYTES:
                raise ValueError("the key set is too large")
            keys = parse_key_set(response.json())
            if not keys:
                raise ValueError("the key set has no usable key")
        except (httpx.HTTPError, ValueError, TimeoutError) as error:
            if self._fetched_at is None:
                self.unavailable = f"{type(error).__name__} while fetching keys"
            log.warning("key set not fetched", extra={"url": self._url, "error": str(error)})
        else:
            if keys.keys() != self._keys.keys():
                log.info("key set fetched", extra={"kids": sorted(str(kid) for kid in keys)})
            self._keys = keys
            self._fetched_at = self._clock()
            self.unavailable = None

    async def start(self) -> None:
        """Fetch for the first time; a provider that is away is asked again on demand."""
        await self._fetch(wait=True)

    async def close(self) -> None:
        """End a fetch under way and close connections."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()


def parse_key_set(document: Any) -> dict[str | None, Key]:
    """Return the usable signature keys of a JWKS document by `kid`; others are passed over.

    Raises:
        ValueError: it is no JWKS document.
    """
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("no JWKS document")
    found: dict[str | None, Key] = {}
    for entry in document["keys"]:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        try:
            key = _pin(jwt.PyJWK.from_dict(entry).key)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        if key is not None and entry.get("alg", key.algorithm) == key.algorithm:
            found[entry.get("kid")] = key
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
