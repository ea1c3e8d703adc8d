from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI

from tapewire.auth import AuthSettings, Claims, Verifier, authenticated, mint, require
from tapewire.auth.keys import KeySet
from tapewire.service import ServiceSettings, create_app

SECRET = "a secret of the test, more than 32 bytes"
router = APIRouter(prefix="/v1")


@router.get("/me")
async def me(claims: Annotated[Claims, Depends(authenticated)]) -> str:
    return claims.subject


@router.post("/stop")
async def stop(claims: Annotated[Claims, Depends(require("risk:stop", "risk:unlock"))]) -> str:
    return claims.subject


@pytest.fixture
def app() -> FastAPI:
    made = create_app(
        ServiceSettings(),
        service="test",
        components=[],
        routers=[router],
        title="test",
        description="test",
    )
    made.state.verifier = Verifier.from_settings(AuthSettings(jwt_secret=SECRET))
    return made


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_good_token_tells_who_asks(client: httpx.AsyncClient):
    answer = await client.get("/v1/me", headers=bearer(mint(SECRET, "alice")))
    assert (answer.status_code, answer.json()) == (200, "alice")


async def test_no_token_is_asked_for_one(client: httpx.AsyncClient):
    answer = await client.get("/v1/me")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["code"] == "no_token"
    assert set(answer.json()) == {"code", "message"}


async def test_another_scheme_is_no_token(client: httpx.AsyncClient):
    answer = await client.get("/v1/me", auth=("alice", "password"))
    assert (answer.status_code, answer.json()["code"]) == (401, "no_token")


async def test_a_bad_token_is_told_apart_from_an_expired_one(client: httpx.AsyncClient):
    bad = await client.get("/v1/me", headers=bearer("a.b.c"))
    assert (bad.status_code, bad.json()["code"]) == (401, "invalid_token")
    old = await client.get("/v1/me", headers=bearer(mint(SECRET, "alice", ttl_s=-60)))
    assert (old.status_code, old.json()["code"]) == (401, "expired_token")


async def test_a_missing_scope_is_named(client: httpx.AsyncClient):
    answer = await client.post("/v1/stop", headers=bearer(mint(SECRET, "alice")))
    assert answer.status_code == 403
    assert answer.json() == {
        "code": "forbidden",
        "message": "The token lacks the scope risk:unlock.",
    }
    assert 'scope="risk:unlock"' in answer.headers["www-authenticate"]


async def test_every_scope_given_is_enough(client: httpx.AsyncClient):
    token = mint(SECRET, "alice", scopes=["risk:stop", "risk:unlock"])
    assert (await client.post("/v1/stop", headers=bearer(token))).status_code == 200


async def test_keys_that_cannot_be_fetched_are_no_fault_of_the_token(
    app: FastAPI, client: httpx.AsyncClient
):
    away = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(500)))
    keys = KeySet("https://id.example/jwks", client=away)
    app.state.verifier = Verifier(keys, issuer="tapewire", audience="tapewire")
    token = "eyJhbGciOiJSUzI1NiJ9.e30.AAAA"  # header: {"alg":"RS256"}
    answer = await client.get("/v1/me", headers=bearer(token))
    assert (answer.status_code, answer.json()["code"]) == (503, "keys_unavailable")
    assert answer.headers["retry-after"]
    await keys.close()


def test_openapi_says_that_a_bearer_token_is_wanted(app: FastAPI):
    schema = app.openapi()
    assert schema["components"]["securitySchemes"]["HTTPBearer"]["bearerFormat"] == "JWT"
    assert schema["paths"]["/v1/me"]["get"]["security"] == [{"HTTPBearer": []}]
    assert "security" not in schema["paths"]["/healthz"]["get"]
