"""Handshakes, tokens, limits, errors, closes, drain."""

import asyncio
import base64
import json
import time

import httpx
import pytest

from tapewire.auth import mint

SECRET = "a secret of the component tests, long enough"


@pytest.fixture
async def edge(world):
    return await world.edge(
        edge_auth_deadline_s=0.5,
        edge_connections_per_user=2,
        edge_channels=3,
        cors_origins=("https://desk.example",),
    )


async def test_three_ways_to_authenticate(world, edge):
    token = mint(SECRET, "alice")
    by_header = await world.client(edge)
    assert by_header.welcome["userId"] == "alice"
    await by_header.socket.close()
    by_subprotocol = await world.open(edge, subprotocols=["tapewire.v1", f"bearer.{token}"])
    assert by_subprotocol.socket.subprotocol == "tapewire.v1"
    await by_subprotocol.next("welcome")
    await by_subprotocol.socket.close()
    by_message = await world.open(edge)
    await by_message.send(type="authenticate", token=token, clientId="desk")
    welcome = await by_message.next("welcome")
    assert welcome["clientId"] == "desk"
    assert welcome["limits"] == {"messagesPerSecond": 20, "channels": 3, "messageBytes": 65536}
    assert 590 < welcome["tokenExpiresIn"] <= 600


def unsigned():
    part = [json.dumps({"alg": "none"}), json.dumps({"sub": "alice", "exp": 9e9})]
    return ".".join(base64.urlsafe_b64encode(p.encode()).decode().rstrip("=") for p in part) + "."


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("rubbish", 4500),
        (unsigned(), 4500),
        (mint(SECRET, "alice", audience="others"), 4500),
        (mint("another secret that is long enough, too", "alice"), 4500),
        (mint(SECRET, "alice", ttl_s=-60), 4004),
    ],
    ids=["rubbish", "alg none", "audience", "signature", "expired"],
)
async def test_bad_token_gets_its_code_and_nobody_else_notices(world, edge, token, code):
    bystander = await world.client(edge, "bob")
    assert await (await world.client(edge, token=token, welcome=False)).closed() == code
    await bystander.round_trip()


async def test_no_token_in_time(world, edge):
    client = await world.open(edge)
    assert await client.closed() == 4502


async def test_requests_before_authentication_are_refused(world, edge):
    client = await world.open(edge)
    await client.send(type="subscribe", id=1, channels=["system"])
    error = await client.next("error")
    assert (error["code"], error["id"], error["field"]) == ("bad_message", 1, "type")


@pytest.mark.parametrize(
    ("origin", "code"), [("https://desk.example", None), ("https://evil.example", 4505)]
)
async def test_origin_must_be_on_the_list(world, edge, origin, code):
    client = await world.client(edge, welcome=False, origin=origin)
    if code is None:
        await client.next("welcome")
    else:
        assert await client.closed() == code


async def test_malformed_message_names_its_field_and_repeated_ones_end(world, edge):
    client = await world.client(edge)
    await client.send(type="subscribe", id="x", channels="all of them")
    error = await client.next("error")
    assert (error["code"], error["field"], error["id"]) == ("bad_message", "channels", "x")
    for text in ("{", "[]", '{"type":"dance"}', '{"type":"ack"}', "null"):
        await client.socket.send(text)
    assert await client.closed() == 4501


async def test_oversized_message_is_closed_1009(world, edge):
    client, bystander = await world.client(edge), await world.client(edge, "bob")
    await client.socket.send("x" * 65_537)
    assert await client.closed() == 1009
    await bystander.round_trip()


async def test_too_many_channels(world, edge):
    client = await world.client(edge)
    await client.send(
        type="subscribe", channels=["system", "sessions:alice", "market:SPY", "bogus", "market:QQQ"]
    )
    reply = await client.next("subscribed")
    assert reply["channels"] == ["system", "sessions:alice"]
    assert {r["channel"]: r["code"] for r in reply["rejected"]} == {
        "bogus": "unknown_channel",
        "market:SPY": "too_many_channels",
        "market:QQQ": "too_many_channels",
    }


async def test_too_many_connections_of_a_user(world, edge):
    for _ in range(2):
        await world.client(edge)
    assert await (await world.client(edge, welcome=False)).closed() == 4504
    await world.client(edge, "bob")


async def test_too_many_messages(world, edge):
    client = await world.client(edge)
    for _ in range(45):
        await client.send(type="unsubscribe", channels=["system"])
    error = await client.next("error")
    assert error["code"] == "rate_limited"
    assert error["retryable"] is True
    assert error["retryAfterMs"] > 0
    for _ in range(150):
        await client.send(type="unsubscribe", channels=["system"])
    assert await client.closed() == 4006


async def test_scopes_bound_what_a_token_may(world, edge):
    client = await world.client(edge, claims={"scopes": ["md:read"]})
    await client.send(type="subscribe", channels=["sessions:alice", "market:SPY"])
    reply = await client.next("subscribed")
    assert reply["channels"] == ["market:SPY"]
    await client.send(type="ack", ids=["x"])
    assert (await client.next("error"))["code"] == "forbidden"
    await client.send(
        type="command", id=9, command="emergency_stop", sessionId="s-1", idempotencyKey="k"
    )
    error = await client.next("error")
    assert (error["id"], error["code"]) == (9, "forbidden")


async def test_command_is_accepted_once_the_broker_has_it(world, edge):
    client = await world.client(edge)
    await client.send(
        type="command", id=9, command="emergency_stop", sessionId="s-1", idempotencyKey="k-1"
    )
    accepted = await client.next("accepted")
    assert (accepted["id"], accepted["idempotencyKey"]) == (9, "k-1")
    async with httpx.AsyncClient(base_url=edge.http, timeout=60) as http:
        headers = {"Authorization": f"Bearer {mint(SECRET, 'alice')}"}
        body = {"command": "emergency_stop", "sessionId": "s-1", "idempotencyKey": "k-2"}
        answer = await http.post("/v1/commands", json=body, headers=headers)
        assert answer.status_code == 202
        assert answer.json()["idempotencyKey"] == "k-2"
        del body["sessionId"]
        wrong = await http.post("/v1/commands", json=body, headers=headers)
        assert wrong.status_code == 422
        assert wrong.json()["errors"][0]["field"] == "sessionId"
    assert await world.depth("ingest.inbox") == 2


async def test_token_that_expires_closes_4004_unless_refreshed(world, edge):
    client = await world.client(edge, claims={"ttl_s": 6})
    await client.send(type="refresh", id=2, token=mint(SECRET, "alice"))
    assert (await client.next("refreshed"))["tokenExpiresIn"] > 500
    other = await world.client(edge, claims={"ttl_s": 6})  # ends after the client's first token
    assert await other.closed() == 4004
    await client.round_trip()


async def test_refresh_for_another_user_is_refused(world, edge):
    client = await world.client(edge)
    await client.send(type="refresh", token=mint(SECRET, "mallory"))
    assert await client.closed() == 4500


async def test_refresh_with_fewer_rights_takes_channels_back(world, edge):
    client = await world.client(edge)
    await client.send(type="subscribe", channels=["sessions:alice"])
    await client.next("subscribed")
    await client.send(type="refresh", token=mint(SECRET, "alice", scopes=["alerts:ack"]))
    assert (await client.next("unsubscribed"))["channels"] == ["sessions:alice"]
    await client.next("refreshed")
    await world.decision(1)
    await client.quiet(0.2)


async def test_silent_client_is_closed_4003_and_a_living_one_is_not(world):
    edge = await world.edge(edge_heartbeat_interval_s=1, edge_heartbeat_grace_s=5)
    living = await world.client(edge)
    silent = await world.client(edge)
    silent.socket.transport.pause_reading()  # no pong is sent any more
    await world.until(lambda: sum(edge.app.state.gate.connections.values()) == 1)
    silent.socket.transport.resume_reading()
    assert await silent.closed() == 4003
    assert (await living.next("heartbeat"))["type"] == "heartbeat"


async def test_edge_that_stood_still_hears_its_clients_before_it_judges_them(world):
    edge = await world.edge(
        edge_heartbeat_interval_s=1, edge_heartbeat_grace_s=2, edge_auth_deadline_s=2
    )
    clients = [await world.client(edge, f"u-{n}") for n in range(3)]
    silent = await world.client(edge)
    silent.socket.transport.pause_reading()
    late = await world.open(edge)
    time.sleep(4)  # noqa: ASYNC251 - the edge runs in this loop, and so do the clients
    await late.send(type="authenticate", token=world.token("bob"))
    assert (await late.next("welcome"))["userId"] == "bob"
    await world.until(lambda: sum(edge.app.state.gate.connections.values()) == 4)
    silent.socket.transport.resume_reading()
    assert await silent.closed() == 4003
    for client in clients:
        await client.round_trip()


async def test_slow_consumer_is_closed_4001_and_resumes_with_a_gap(world):
    edge = await world.edge()
    slow = await world.client(edge, query="?clientId=slow")
    fast = await world.client(edge, query="?clientId=fast")
    slow.socket.transport.pause_reading()
    count = 700
    reading = asyncio.create_task(fast.ids(count))

    async def raise_all():
        return [await world.alert(f"{n:04}", level="warning") for n in range(count)]

    raising = asyncio.create_task(raise_all())
    await world.until(lambda: sum(edge.app.state.gate.connections.values()) == 1, timeout_s=60)
    slow.socket.transport.resume_reading()
    assert await slow.closed() == 4001
    raised = await raising
    assert await reading == raised
    back = await world.client(edge, query="?clientId=slow&resume=true")
    assert back.welcome["recovered"] == {"critical": 0, "recent": 100, "gap": True}
    assert await back.ids(100) == raised[-100:]


async def test_compressed_and_plain_clients_read_the_same(world, edge):
    plain = await world.client(edge, compression=None)
    compressed = await world.client(edge, compression="deflate")
    assert "permessage-deflate" in compressed.socket.response.headers["Sec-WebSocket-Extensions"]
    await world.publish(
        type="risk_alert",
        userId="alice",
        alertLevel="critical",
        alertType="loss_limit",
        message="again and again " * 40,
        currentValue=91,
        threshold=90,
    )
    assert await plain.next("risk_alert") == await compressed.next("risk_alert")


async def test_drain_announces_closes_and_gives_back_in_order(world):
    edge = await world.edge()
    clients = [await world.client(edge) for _ in range(3)]
    raised = [await world.alert(n) for n in range(30)]
    for client in clients:
        assert await client.ids(30) == raised
    draining = asyncio.create_task(edge.app.state.lifecycle.drain())
    for client in clients:
        assert (await client.next("draining"))["windowMs"] >= 0
        assert await client.closed() == 4000
    await draining
    assert await world.depth("inbox.alice") == 30
    late = await world.client(edge, welcome=False)
    assert await late.closed() == 4000
    other = await world.edge()
    assert await (await world.client(other)).ids(30) == raised


async def test_ready_only_while_the_broker_is_there(world, edge):
    async with httpx.AsyncClient(base_url=edge.http, timeout=60) as http:
        assert (await http.get("/readyz")).status_code == 200
        metrics = (await http.get("/metrics")).text
        assert "tapewire_edge_connections" in metrics
    await world.until(lambda: edge.app.state.lifecycle.ready)
