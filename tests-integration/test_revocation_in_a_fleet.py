"""A token that an operator took back is good nowhere, whatever was away or killed meanwhile."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
import websockets
from plain import SUBPROTOCOL, Client, connected

SCOPES = ("md:read", "session:read", "alerts:ack", "events:write", "risk:stop")
# One route behind a token of each service.
ROUTES = (
    ("ingest", "POST", "/v1/events"),
    ("risk", "GET", "/v1/alerts"),
    ("market", "GET", "/v1/quotes"),
    ("desk", "GET", "/v1/preferences"),
)


@pytest.fixture
async def http():
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        yield client


async def refused(fleet, http, token, edges=("edge-1", "edge-2")):
    """Assert that a token is refused on every way in."""
    given = {"Authorization": f"Bearer {token}"}
    for edge in edges:
        async with websockets.connect(
            fleet.socket_url(edge),
            additional_headers=given,
            subprotocols=[SUBPROTOCOL],
            proxy=None,
        ) as socket:
            client = Client(socket)
            assert await client.until_closed() == 4007
            assert client.all("welcome") == []
            await client.close()
        for path in ("/v1/stream", "/v1/poll"):
            answer = await http.get(fleet.url(edge) + path, headers=given)
            assert (answer.status_code, answer.json()["closeCode"]) == (401, 4007), (edge, path)
    for service, method, path in ROUTES:
        answer = await http.request(method, fleet.url(service) + path, headers=given, json=[])
        assert (answer.status_code, answer.json().get("code")) == (401, "revoked_token"), service


async def test_revoked_tokens_are_good_nowhere_also_after_restarts(fleet, user, http):
    issued = datetime.now(UTC) - timedelta(minutes=1)
    lost = fleet.token(user, scopes=SCOPES, now=issued)
    bystander = f"{user}-bystander"
    operator = {"Authorization": f"Bearer {fleet.token('ops', scopes=['admin'])}"}
    await fleet.stop("edge-2")
    async with (
        connected(fleet, user, "edge-1", token=lost) as client,
        connected(fleet, bystander, "edge-1") as other,
    ):
        before = (issued + timedelta(seconds=30)).isoformat()
        answer = await http.post(
            fleet.url("edge-1") + "/v1/revocations",
            json={"userId": user, "issuedBefore": before},
            headers=operator,
        )
        assert answer.status_code == 202, answer.text
        assert await client.until_closed() == 4007
        await other.fence()
    await fleet.start("edge-2")  # was not there when it was said
    await refused(fleet, http, lost)
    for node in ("rabbitmq", "edge-1", "desk"):
        await fleet.kill(node)
    await fleet.until_ready()
    await refused(fleet, http, lost)
    for edge in ("edge-1", "edge-2"):
        async with connected(fleet, bystander, edge) as other:
            await other.fence()
        async with connected(fleet, user, edge) as again:  # with a token of now
            await again.fence()
