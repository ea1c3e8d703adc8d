import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewire.auth import (
    DEFAULT_SCOPES,
    AuthSettings,
    Claims,
    ExpiredToken,
    InvalidToken,
    TokenError,
    Verifier,
    mint,
)
from tapewire.auth.verifier import LEEWAY_S, MAX_TOKEN_CHARS

SECRET = "a secret of the test, more than 32 bytes"
verifier = Verifier.from_settings(AuthSettings(jwt_secret=SECRET))


def signed(secret: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    """Return a token whose claims differ from good ones by `changes`; None leaves one out."""
    now = datetime.now(UTC)
    claims = {
        "sub": "alice",
        "iss": "tapewire",
        "aud": "tapewire",
        "exp": int((now + timedelta(minutes=5)).timestamp()),
        "scope": "md:read",
    }
    claims = {key: value for key, value in (claims | changes).items() if value is not None}
    return jwt.encode(claims, secret, algorithm=algorithm)


def unsigned(header: dict[str, Any], payload: bytes, signature: str = "") -> str:
    parts = [json.dumps(header).encode(), payload]
    encoded = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, signature])


async def refusal(token: str) -> str:
    with pytest.raises(InvalidToken) as caught:
        await verifier.verify(token)
    return caught.value.reason


async def test_a_minted_token_says_who_may_do_what_until_when():
    now = datetime.now(UTC)
    token = mint(SECRET, "alice", ttl_s=600, supervises=["bob", "carol"], now=now)
    claims = await verifier.verify(token)
    assert claims.subject == "alice"
    assert claims.scopes == frozenset(DEFAULT_SCOPES)
    assert claims.supervises == {"bob", "carol"}
    assert claims.users == {"alice", "bob", "carol"}
    assert abs(claims.expires_at - now - timedelta(seconds=600)) < timedelta(seconds=1)
    assert claims.token_id


async def test_a_scope_grants_only_what_it_names():
    claims = await verifier.verify(mint(SECRET, "ops", scopes=["admin"]))
    assert claims.may("admin")
    assert not claims.may("risk:unlock")


async def test_every_minted_token_has_an_id_of_its_own():
    ids = {(await verifier.verify(mint(SECRET, "alice"))).token_id for _ in range(10)}
    assert len(ids) == 10


async def test_a_token_is_good_within_the_leeway_and_expired_after_it():
    assert isinstance(await verifier.verify(mint(SECRET, "a", ttl_s=-(LEEWAY_S - 10))), Claims)
    with pytest.raises(ExpiredToken):
        await verifier.verify(mint(SECRET, "a", ttl_s=-(LEEWAY_S + 10)))


async def test_a_token_from_the_future_is_good_since_our_own_clock_may_be_behind():
    assert (await verifier.verify(signed(iat=4_000_000_000))).subject


@pytest.mark.parametrize("claim", ["exp", "iss", "aud", "sub"])
async def test_a_token_without_a_required_claim_is_refused(claim: str):
    assert await refusal(signed(**{claim: None})) == "missing claim"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "another"}, "wrong audience"),
        ({"iss": "another"}, "wrong issuer"),
        ({"nbf": 4_000_000_000}, "not yet valid"),
        ({"sub": ""}, "malformed claim"),
        ({"sub": "x" * 257}, "malformed claim"),
        ({"sub": "all"}, "malformed claim"),
        ({"sub": 17}, "malformed"),
        ({"supervises": ["all"]}, "malformed claim"),
        ({"supervises": "bob"}, "malformed claim"),
        ({"supervises": [1]}, "malformed claim"),
        ({"supervises": ["u"] * 1001}, "malformed claim"),
        ({"scope": ["md:read"]}, "malformed claim"),
        ({"exp": "tomorrow"}, "malformed"),
        ({"exp": 1e15}, "malformed claim"),
        ({"exp": float("inf")}, "malformed"),
        ({"exp": float("nan")}, "malformed"),
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(changes: dict[str, Any], reason: str):
    assert await refusal(signed(**changes)) == reason


async def test_one_audience_of_several_is_enough():
    assert (await verifier.verify(signed(aud=["other", "tapewire"]))).subject == "alice"


async def test_a_token_of_another_secret_is_refused():
    assert await refusal(signed(secret="another secret of more than 32 bytes")) == "bad signature"


async def test_a_changed_payload_is_refused():
    header, _, signature = signed().split(".")
    forged = signed(sub="mallory").split(".")[1]
    assert await refusal(f"{header}.{forged}.{signature}") == "bad signature"


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE"])
async def test_an_unsigned_token_is_refused(name: str):
    payload = signed().split(".")[1]
    body = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    assert await refusal(unsigned({"alg": name, "typ": "JWT"}, body)) == "wrong algorithm"


async def test_a_secret_verifies_hs256_only():
    secret = SECRET * 2
    other = Verifier.from_settings(AuthSettings(jwt_secret=secret))
    with pytest.raises(InvalidToken, match="wrong algorithm"):
        await other.verify(signed(secret=secret, algorithm="HS512"))


async def test_a_token_with_an_unknown_critical_header_is_refused():
    token = jwt.encode(
        {"sub": "alice"}, SECRET, algorithm="HS256", headers={"crit": ["x-odd"], "x-odd": 1}
    )
    assert await refusal(token) == "malformed"


async def test_deeply_nested_claims_are_refused_and_not_an_accident():
    depth = MAX_TOKEN_CHARS // 4
    nested = b'{"sub":' + b"[" * depth + b"]" * depth + b"}"
    assert await refusal(unsigned({"alg": "HS256"}, nested, "AAAA")) == "bad signature"


async def test_an_over_long_token_is_not_looked_at():
    assert await refusal(signed(padding="x" * MAX_TOKEN_CHARS)) == "malformed"


@given(st.text() | st.from_regex(r"[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}"))
async def test_whatever_is_no_token_is_refused(text: str):
    with pytest.raises(TokenError):
        await verifier.verify(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ["exp", "iat", "nbf", "iss", "aud", "sub", "scope", "supervises", "jti"], json_values
        ),
    )
)
async def test_odd_claims_with_a_good_signature_are_claims_or_refused(changes: dict[str, Any]):
    head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=")
    good = json.loads(base64.urlsafe_b64decode(signed().split(".")[1] + "=="))
    body = base64.urlsafe_b64encode(json.dumps(good | changes).encode()).rstrip(b"=")
    hs256 = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    mac = base64.urlsafe_b64encode(hs256.sign(head + b"." + body, SECRET.encode())).rstrip(b"=")
    token = b".".join([head, body, mac]).decode()
    try:
        claims = await verifier.verify(token)
    except TokenError:
        return
    assert claims.subject
    assert "all" not in claims.users
