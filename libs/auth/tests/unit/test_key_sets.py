import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tapewire.auth import InvalidToken, KeysUnavailable, Verifier
from tapewire.auth.keys import (
    KEEP_S,
    REFRESH_EVERY_S,
    RETRY_EVERY_S,
    UNKNOWN_KID_EVERY_S,
    KeySet,
    parse_key_set,
)

PRIVATE: dict[str, Any] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def jwk(algorithm: str, kid: str | None, key: Any = None, **more: Any) -> dict[str, Any]:
    public = (key or PRIVATE[algorithm]).public_key()
    entry: dict[str, Any] = jwt.get_algorithm_by_name(algorithm).to_jwk(public, as_dict=True)
    return entry | ({"kid": kid} if kid else {}) | {"use": "sig"} | more


def token(algorithm: str = "RS256", kid: str | None = "k1", key: Any = None) -> str:
    claims = {
        "sub": "alice",
        "iss": "tapewire",
        "aud": "tapewire",
        "exp": datetime.now(UTC) + timedelta(minutes=5),
    }
    headers = {"kid": kid} if kid else None
    return jwt.encode(claims, key or PRIVATE[algorithm], algorithm=algorithm, headers=headers)


class Provider:
    """An identity provider: what it publishes, how often it was asked, whether it answers."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [jwk("RS256", "k1")]
        self.asked = 0
        self.away = False
        self.answering = asyncio.Event()
        self.answering.set()
        self.now = 1000.0
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        self.key_set = KeySet("https://id.example/jwks", client=client, clock=lambda: self.now)
        self.verifier = Verifier(self.key_set, issuer="tapewire", audience="tapewire")

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        await self.answering.wait()
        if self.away:
            raise httpx.ConnectError("away", request=request)
        return httpx.Response(200, json={"keys": self.keys})


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    yield made
    await made.verifier.stop()


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_each_algorithm_verifies_with_its_key(provider: Provider, algorithm: str):
    provider.keys = [jwk(name, f"{name}-key") for name in PRIVATE]
    claims = await provider.verifier.verify(token(algorithm, f"{algorithm}-key"))
    assert claims.subject == "alice"


async def test_a_token_signed_with_the_public_key_as_secret_is_refused(provider: Provider):
    public = (
        PRIVATE["RS256"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    head, body, _ = token().split(".")
    head = jwt.utils.base64url_encode(json.dumps({"alg": "HS256", "kid": "k1"}).encode()).decode()
    mac = jwt.get_algorithm_by_name("HS256")
    # PyJWT will not sign with a public key; an attacker's library does
    signature = jwt.utils.base64url_encode(mac.sign(f"{head}.{body}".encode(), public)).decode()
    with pytest.raises(InvalidToken, match="wrong algorithm"):
        await provider.verifier.verify(f"{head}.{body}.{signature}")


async def test_a_key_does_not_verify_another_keys_algorithm(provider: Provider):
    provider.keys = [jwk("ES256", "k1")]
    with pytest.raises(InvalidToken, match="wrong algorithm"):
        await provider.verifier.verify(token("RS256", "k1"))


async def test_a_wrong_signature_of_a_known_key_is_refused(provider: Provider):
    other = rsa.generate_private_key(65537, 2048)
    with pytest.raises(InvalidToken, match="bad signature"):
        await provider.verifier.verify(token(key=other))


async def test_an_unsigned_token_asks_nobody(provider: Provider):
    body = token().split(".")[1]
    head = jwt.utils.base64url_encode(b'{"alg":"none","kid":"k1"}').decode()
    with pytest.raises(InvalidToken, match="wrong algorithm"):
        await provider.verifier.verify(f"{head}.{body}.")
    assert provider.asked == 0


async def test_keys_are_fetched_once_for_many_tokens(provider: Provider):
    await asyncio.gather(*(provider.verifier.verify(token()) for _ in range(50)))
    assert provider.asked == 1


async def test_a_new_key_is_found_when_a_token_names_it(provider: Provider):
    await provider.verifier.verify(token())
    new = rsa.generate_private_key(65537, 2048)
    provider.keys = [jwk("RS256", "k1"), jwk("RS256", "k2", new)]
    provider.now += UNKNOWN_KID_EVERY_S
    assert (await provider.verifier.verify(token(kid="k2", key=new))).subject == "alice"


async def test_a_flood_of_unknown_key_ids_makes_one_fetch_in_ten_seconds(provider: Provider):
    await provider.verifier.verify(token())
    provider.now += UNKNOWN_KID_EVERY_S
    for number in range(300):
        provider.now += 0.03  # 9 s in all
        with pytest.raises(InvalidToken, match="unknown key"):
            await provider.verifier.verify(token(kid=f"made-up-{number}"))
    assert provider.asked == 2
    assert (await provider.verifier.verify(token())).subject == "alice"


async def test_known_keys_do_not_wait_while_unknown_ones_are_looked_for(provider: Provider):
    await provider.verifier.verify(token())
    provider.now += UNKNOWN_KID_EVERY_S
    provider.answering.clear()
    unknown = asyncio.create_task(provider.verifier.verify(token(kid="other")))
    await until(lambda: provider.asked == 2)
    assert (await provider.verifier.verify(token())).subject == "alice"
    assert not unknown.done()
    provider.answering.set()
    with pytest.raises(InvalidToken):
        await unknown


async def test_a_stale_set_is_refreshed_behind_the_verification(provider: Provider):
    await provider.verifier.verify(token())
    provider.now += REFRESH_EVERY_S + 1
    provider.answering.clear()
    assert (await provider.verifier.verify(token())).subject == "alice"
    await until(lambda: provider.asked == 2)
    provider.answering.set()


async def test_a_withdrawn_key_is_refused_after_the_refresh(provider: Provider):
    await provider.verifier.verify(token())
    provider.keys = [jwk("ES256", "k9")]
    provider.now += REFRESH_EVERY_S + 1
    await provider.verifier.verify(token())
    await until(lambda: provider.asked == 2)
    await provider.verifier.verify(token("ES256", "k9"))
    with pytest.raises(InvalidToken, match="unknown key"):
        await provider.verifier.verify(token())


async def test_a_provider_that_goes_away_locks_nobody_out_for_a_day(provider: Provider):
    await provider.verifier.verify(token())
    provider.away = True
    provider.now += KEEP_S - 1
    assert (await provider.verifier.verify(token())).subject == "alice"
    provider.now += REFRESH_EVERY_S
    with pytest.raises(KeysUnavailable):
        await provider.verifier.verify(token())
    assert provider.verifier.health() == "no keys: ConnectError at the key set's URL"


async def test_a_provider_away_from_the_start_is_asked_again(provider: Provider):
    provider.away = True
    for _ in range(5):
        with pytest.raises(KeysUnavailable):
            await provider.verifier.verify(token())
    assert provider.asked == 1
    provider.away = False
    provider.now += RETRY_EVERY_S
    assert (await provider.verifier.verify(token())).subject == "alice"


async def test_a_started_verifier_is_ready_before_the_first_token(provider: Provider):
    assert provider.verifier.health() == "no keys: none fetched yet"
    await provider.verifier.start()
    await until(lambda: provider.verifier.health() is None)


async def test_a_token_without_key_id_uses_the_only_key_of_its_kind(provider: Provider):
    provider.keys = [jwk("RS256", "k1"), jwk("ES256", "k2")]
    assert (await provider.verifier.verify(token(kid=None))).subject == "alice"


async def test_a_token_without_key_id_is_refused_where_two_keys_fit(provider: Provider):
    provider.keys = [jwk("RS256", "k1"), jwk("RS256", "k2", rsa.generate_private_key(65537, 2048))]
    with pytest.raises(InvalidToken, match="unknown key"):
        await provider.verifier.verify(token(kid=None))


def test_keys_that_cannot_verify_are_passed_over():
    good = jwk("RS256", "good")
    unfit: list[dict[str, Any]] = [
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0", "alg": "HS256"},
        jwk("RS256", "encrypts", use="enc"),
        jwk("RS256", "pss", alg="PS256"),
        jwk("RS256", "short", rsa.generate_private_key(65537, 1024)),
        jwk("ES256", "p384", ec.generate_private_key(ec.SECP384R1())) | {"crv": "P-384"},
        {"kty": "made-up", "kid": "odd"},
        {"kid": "empty"},
    ]
    assert list(parse_key_set({"keys": [*unfit, good], "more": 1})) == ["good"]


def test_a_private_key_in_a_key_set_verifies_nothing():
    private = jwt.get_algorithm_by_name("RS256").to_jwk(PRIVATE["RS256"], as_dict=True)
    with pytest.raises(ValueError, match="no usable key"):
        parse_key_set({"keys": [private | {"kid": "oops"}]})


@pytest.mark.parametrize("document", [None, [], {}, {"keys": {}}, {"keys": [1]}, {"keys": []}])
def test_what_is_no_key_set_is_refused(document: Any):
    with pytest.raises(ValueError, match=r"JWKS|usable"):
        parse_key_set(document)
