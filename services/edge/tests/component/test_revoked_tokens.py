"""Tokens that an operator takes back: on live sockets, at the door, over HTTP, after a restart."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest

from tapewire.auth import mint
from tapewire.fleet.cable import Cable

SECRET = "a secret of the component tests, long enough"
NOW = datetime.now(UTC)
EARLIER = NOW - timedelta(minutes=1)


def token(user="alice", **claims):
    """One that was issued a minute ago."""
    return mint(SECRET, user, now=EARLIER, **claims)


def id_of(made):
    return jwt.decode(made, options={"verify_signature": False})["jti"]


def bearer(made):
    return {"Authorization": f"Bearer {made}"}


@pytest.fixture
async def edge(world):
    return await world.edge()


@pytest.fixture
async def http():
    async with httpx.AsyncClient(timeout=30) as made:
        yield made


@pytest.fixture
def operator(http):
    async def revoke(edge, *, scopes=("admin",), **body):
        given = bearer(mint(SECRET, "ops", scopes=scopes))
        return await http.post(edge.http + "/v1/revocations", json=body, headers=given)

    return revoke


async def listed(http, edge):
    given = bearer(mint(SECRET, "ops", scopes=["admin"]))
    return (await http.get(edge.http + "/v1/revocations", headers=given)).json()


@pytest.fixture
def until_listed(world, http):
    async def wait(edge, count):
        async def there():
            return len(await listed(http, edge)) == count

        await world.until_async(there)

    return wait


@pytest.fixture
async def cut_off(world):
    """An edge, and the cable between it and the broker."""
    cable = Cable(world.amqp_url)
    direct, world.amqp_url = world.amqp_url, await cable.start()
    edge = await world.edge()
    world.amqp_url = direct
    yield edge, cable
    await cable.stop()


async def test_one_token_is_closed_and_refused_and_the_users_others_are_not(
    world, edge, operator, http
):
    lost, kept = token(), token()
    client, other = await world.client(edge, token=lost), await world.client(edge, token=kept)
    said = await operator(edge, tokenId=id_of(lost))
    assert said.status_code == 202
    assert await client.closed() == 4007
    again = await world.client(edge, token=lost, welcome=False)
    assert await again.closed() == 4007
    await other.round_trip()
    await world.client(edge, token=kept)
    assert [one["tokenId"] for one in await listed(http, edge)] == [id_of(lost)]


async def test_users_tokens_are_closed_on_every_edge_and_a_newer_one_is_welcome(
    world, edge, operator
):
    second = await world.edge()
    clients = [await world.client(one, token=token()) for one in (edge, second)]
    bystander = await world.client(second, "bob", token=token("bob"))
    assert (await operator(edge, userId="alice", issuedBefore=NOW.isoformat())).status_code == 202
    assert [await client.closed() for client in clients] == [4007, 4007]
    await bystander.round_trip()
    await world.client(second, token=mint(SECRET, "alice"))


async def test_final_ones_say_to_stay_away(world, edge, operator):
    lost = token()
    client = await world.client(edge, token=lost)
    assert (await operator(edge, tokenId=id_of(lost), final=True)).is_success
    assert await client.closed() == 4500
    assert await (await world.client(edge, token=lost, welcome=False)).closed() == 4500


async def test_revoked_before_an_edge_started_refused_by_it_on_every_way_in(
    world, edge, operator, http
):
    lost = token(scopes=["md:read", "session:read", "admin"])
    client = await world.client(edge, token=lost)
    assert (await operator(edge, userId="alice", issuedBefore=NOW.isoformat())).is_success
    assert await client.closed() == 4007
    later = await world.edge()
    assert await (await world.client(later, token=lost, welcome=False)).closed() == 4007
    for path in ("/v1/stream", "/v1/poll"):
        answer = await http.get(later.http + path, headers=bearer(lost))
        assert (answer.status_code, answer.json()["closeCode"]) == (401, 4007)
    answer = await http.get(later.http + "/v1/revocations", headers=bearer(lost))
    assert (answer.status_code, answer.json()["code"]) == (401, "revoked_token")
    await world.client(later, "bob", token=token("bob"))


async def test_polled_and_streamed_connections_are_closed_too(world, edge, operator, http):
    given = bearer(token())
    first = (await http.get(edge.http + "/v1/poll", headers=given)).json()
    where = {"connectionId": first["messages"][0]["connectionId"], "cursor": first["cursor"]}
    async with http.stream("GET", edge.http + "/v1/stream", headers=given) as stream:
        lines = stream.aiter_lines()
        async for line in lines:
            if "welcome" in line:
                break
        assert (await operator(edge, userId="alice", issuedBefore=NOW.isoformat())).is_success
        async with asyncio.timeout(30):
            rest = [line async for line in lines]
    assert any('"code":4007' in line for line in rest)
    answer = await http.get(edge.http + "/v1/poll", params=where, headers=given)
    assert (answer.status_code, answer.json()["closeCode"]) == (401, 4007)


async def test_refresh_with_a_revoked_token_closes(world, edge, operator, http, until_listed):
    lost = token()
    client = await world.client(edge)
    assert (await operator(edge, tokenId=id_of(lost))).is_success
    await until_listed(edge, 1)
    await client.send(type="refresh", id=1, token=lost)
    assert await client.closed() == 4007


async def test_what_was_revoked_while_an_edge_was_cut_off_reaches_it(
    world, edge, operator, cut_off
):
    far, cable = cut_off
    client = await world.client(far, token=token())
    cable.pull_out()
    assert (await operator(edge, userId="alice", issuedBefore=NOW.isoformat())).is_success
    await client.round_trip()  # it cannot know, and keeps whom it has
    cable.plug_in()
    assert await client.closed() == 4007


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tokenId": "t", "userId": "alice"},
        {"tokenId": "t", "issuedBefore": "2026-01-01T00:00:00Z"},
        {"userId": ""},
        {"userId": "alice", "issuedBefore": "yesterday"},
        {"userId": "alice", "issuedBefore": "0001-01-01T00:00:00Z"},
        {"tokenId": "t", "why": "lost"},
    ],
)
async def test_what_is_no_revocation_is_refused(edge, operator, body):
    assert (await operator(edge, **body)).status_code == 422


async def test_only_operators_revoke(edge, operator, http):
    refused = await operator(edge, scopes=["md:read", "risk:stop"], userId="alice")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    given = bearer(mint(SECRET, "alice"))
    assert (await http.get(edge.http + "/v1/revocations", headers=given)).status_code == 403


async def test_lasts_as_long_as_it_is_said_and_a_year_at_most(edge, operator):
    soon = datetime.now(UTC) + timedelta(hours=1)
    short = (await operator(edge, tokenId="t-1", expiresAt=soon.isoformat())).json()
    assert datetime.fromisoformat(short["until"]) == soon
    for more in ({}, {"expiresAt": "2990-01-01T00:00:00Z"}):
        long = (await operator(edge, tokenId="t-2", **more)).json()
        left = datetime.fromisoformat(long["until"]) - datetime.now(UTC)
        assert timedelta(days=365) < left <= timedelta(days=366)
