"""Two edges behind HAProxy: one URL for sockets, services and the page."""

import asyncio
from collections import Counter
from contextlib import suppress

import httpx
import pytest
import websockets
from engines import Fleet
from plain import alert, connected, ids, publish

from tapewire.client import WebSocketClient

pytestmark = pytest.mark.containers


BEHIND = ("/v1/sessions", "/v1/limits", "/v1/quotes", "/v1/events", "/config.json")


@pytest.fixture
async def front(fleet: Fleet) -> str:
    """The proxy's URL, once it has seen that every service is back from what tests did to it."""
    if fleet.front is None:
        pytest.skip("no proxy stands in front of a fleet of processes")
    async with httpx.AsyncClient(base_url=fleet.front, trust_env=False) as http:
        async with asyncio.timeout(60):
            for path in BEHIND:
                while (await http.get(path)).status_code == 503:
                    await asyncio.sleep(0.2)
    return fleet.front


def socket_url(front):
    return front.replace("http", "ws", 1) + "/ws"


async def served_by(fleet, count):
    """Return how many connections each edge holds, once there are `count` of them."""
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(30):
        while True:
            held = {}
            for edge in ("edge-1", "edge-2"):
                text = (await http.get(f"{fleet.url(edge)}/metrics")).text
                held[edge] = sum(
                    int(float(line.rpartition(" ")[2]))
                    for line in text.splitlines()
                    if line.startswith("tapewire_edge_connections")
                )
            if sum(held.values()) >= count:
                return held
            await asyncio.sleep(0.2)


async def both_edges_serve(fleet, front, user):
    """Return once the proxy hands sockets to either edge."""
    before = await served_by(fleet, 0)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        leaving = asyncio.Event()

        async def hold(number):
            async with connected(fleet, f"{user}-first-{number}", url=socket_url(front)):
                await leaving.wait()

        number = 0
        while any(n <= before[edge] for edge, n in (await served_by(fleet, 0)).items()):
            group.create_task(hold(number := number + 1))
            await asyncio.sleep(0.3)
        leaving.set()


async def test_sockets_are_spread_over_both_edges(fleet, user, front):
    await both_edges_serve(fleet, front, user)
    before = await served_by(fleet, 0)
    async with asyncio.TaskGroup() as group:
        leaving = asyncio.Event()
        joined: Counter[str] = Counter()

        async def hold(number):
            async with connected(fleet, f"{user}-{number}", url=socket_url(front)) as client:
                joined[client.heard[0]["userId"]] += 1
                await leaving.wait()

        for number in range(10):
            group.create_task(hold(number))
        async with asyncio.timeout(30):
            while len(joined) < 10:
                await asyncio.sleep(0.1)
        held = await served_by(fleet, 10)
        leaving.set()
    assert min(held[edge] - before[edge] for edge in held) >= 3


async def test_an_alert_crosses_the_proxy_and_its_ack_too(fleet, user, front):
    await publish(fleet, alert(user, 1))
    async with connected(fleet, user, url=socket_url(front)) as alice:
        assert ids(await alice.until("risk_alert")) == [f"{user}-critical-1"]
        await alice.ack(*alice.all("risk_alert"))
        await alice.fence()
    async with connected(fleet, user, url=socket_url(front)) as alice:
        assert alice.heard[0]["recovered"]["critical"] == 0


async def test_every_service_answers_at_its_path(fleet, user, front):
    bearer = {"Authorization": f"Bearer {fleet.token(user)}"}
    producer = {"Authorization": f"Bearer {fleet.token(user, scopes=['events:write'])}"}
    async with httpx.AsyncClient(base_url=front, trust_env=False, headers=bearer) as http:
        for path in (
            *("/v1/sessions", "/v1/notifications", "/v1/preferences"),
            *("/v1/account", "/v1/decisions"),
            *("/v1/limits", "/v1/alerts", "/v1/stops", "/v1/quotes"),
        ):
            answer = await http.get(path)
            assert answer.status_code == 200, (path, answer.text)
        taken = await http.post("/v1/events", json=[alert(user, 1)], headers=producer)
        assert taken.json()["results"][0]["status"] == "accepted"
        for path in ("/", "/config.json"):
            assert (await http.get(path)).status_code == 200
        demo = await http.post("/v1/demo/token", json={"userId": user})
        assert demo.json()["token"]
        for path in ("/metrics", "/healthz", "/readyz"):
            assert (await http.get(path)).status_code == 404, "for the inside only"


async def test_an_edge_that_stops_is_left_out_and_taken_back(fleet, user, front):
    async def someone(number):
        async with asyncio.timeout(15):
            while True:  # as every client does: the proxy takes a moment to see that it is gone
                with suppress(OSError, websockets.WebSocketException, TimeoutError):
                    async with connected(fleet, f"{user}-{number}", url=socket_url(front)):
                        return True
                await asyncio.sleep(0.2)

    await fleet.stop("edge-1")
    try:
        assert all(await asyncio.gather(*(someone(number) for number in range(6))))
    finally:
        await fleet.start("edge-1")
    await both_edges_serve(fleet, front, f"{user}-b")


async def test_the_demos_events_arrive_through_the_proxy(fleet, front, tmp_path):
    fleet.compose("--profile", "demo", "up", "--detach", "--no-deps", "trader")
    heard: Counter[str] = Counter()
    enough = asyncio.Event()
    client = WebSocketClient(
        front, lambda: fleet.token("alice"), channels=["sessions:alice", "market:SPY"]
    )

    @client.on_message("*")
    async def count(message):
        heard[message["type"]] += 1
        if heard.keys() >= {"session_status", "algorithm_decision", "market_data"}:
            enough.set()

    try:
        async with client, asyncio.timeout(90):
            await enough.wait()
    finally:
        fleet.compose("--profile", "demo", "rm", "--stop", "--force", "trader")
