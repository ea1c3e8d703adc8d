"""Streams and polls: the same mailbox and the same promises as a WebSocket's."""

import asyncio
import json
from contextlib import suppress

import httpx
import pytest

from tapewire.auth import mint

SECRET = "a secret of the component tests, long enough"
DEADLINE_S = 15.0


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status} {body}")
        self.status = status
        self.code = body.get("closeCode")


class Client:
    """What stream and poll have in common: messages in `inbound`, and posts.

    `at` is the edge that posts go to; the one with the connection, or another.
    """

    def __init__(self, edge, token, query, headers):
        self.edge = self.at = edge
        self.query = query
        self.http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {token}"} | headers, timeout=40
        )
        self.inbound = asyncio.Queue()
        self.received = 0
        self.code = None
        self.proves = True

    async def open(self):
        self.welcome = await self.next("welcome")
        return self

    async def post(self, *messages, **query):
        answer = await self.http.post(
            f"{self.at.http}/v1/messages",
            params={"connectionId": self.welcome["connectionId"], "received": self.received}
            | query,
            content="\n".join(m if isinstance(m, str) else json.dumps(m) for m in messages),
        )
        if answer.is_error:
            raise Refused(answer.status_code, answer.json())

    async def send(self, **message):
        await self.post(message)

    async def ack(self, *ids):
        await self.send(type="ack", ids=list(ids))

    async def next(self, *types, timeout_s=DEADLINE_S):
        async with asyncio.timeout(timeout_s):
            while True:
                message = await self.inbound.get()
                if message["type"] in types or (not types and message["type"] != "heartbeat"):
                    return message

    async def ids(self, count, type_="risk_alert"):
        return [(await self.next(type_))["id"] for _ in range(count)]

    async def quiet(self, for_s=0.3):
        try:
            message = await self.next(timeout_s=for_s)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected {message}")

    async def closed(self):
        async with asyncio.timeout(DEADLINE_S):
            while self.code is None:
                await asyncio.sleep(0.01)
        return self.code

    async def close(self):
        with suppress(AttributeError):
            self.reading.cancel()
            await asyncio.gather(self.reading, return_exceptions=True)
        await self.http.aclose()


class Streaming(Client):
    name = "sse"
    pings = 0

    async def open(self):
        request = self.http.build_request("GET", f"{self.edge.http}/v1/stream", params=self.query)
        self.response = await self.http.send(request, stream=True)
        if self.response.is_error:
            await self.response.aread()
            raise Refused(self.response.status_code, self.response.json())
        assert self.response.headers["content-type"] == "text/event-stream"
        self.reading = asyncio.create_task(self._read())
        return await super().open()

    async def _read(self):
        event = {}
        async for line in self.response.aiter_lines():
            name, _, value = line.partition(": ")
            if name:
                event[name] = value
                continue
            await self._event(event)
            event = {}

    async def _event(self, event):
        self.pings += event.get("event") == "ping"
        match event.get("event"):
            case "ping" if self.proves:
                await self.post(received=event["data"])
            case "close":
                self.code = json.loads(event["data"])["code"]
            case None if "data" in event:
                self.received = int(event["id"])
                self.inbound.put_nowait(json.loads(event["data"]))

    async def close(self):
        await super().close()
        await self.response.aclose()


class Polling(Client):
    name = "poll"

    async def open(self):
        await self._take(await self._get(self.query))
        self.reading = asyncio.create_task(self._poll())
        return await super().open()

    async def _get(self, query):
        answer = await self.http.get(f"{self.at.http}/v1/poll", params=query)
        if answer.is_error:
            raise Refused(answer.status_code, answer.json())
        return answer.json()

    async def _take(self, batch):
        self.received = batch["cursor"]
        for message in batch["messages"]:
            self.inbound.put_nowait(message)
            if message["type"] == "welcome":
                self.welcome = message
        if "close" in batch:
            self.code = batch["close"]["code"]

    async def again(self):
        return await self._get(
            {"connectionId": self.welcome["connectionId"], "cursor": self.received}
        )

    async def _poll(self):
        while self.code is None:
            await self._take(await self.again())


@pytest.fixture(params=[Streaming, Polling], ids=["sse", "poll"])
def kind(request):
    return request.param


@pytest.fixture
async def opened(world):
    async def open_(kind, edge, user="alice", *, token=None, headers=None, claims=None, **query):
        chosen = token or mint(SECRET, user, **(claims or {}))
        client = kind(edge, chosen, query, headers or {})
        world.stack.push_async_callback(client.close)
        return await client.open()

    return open_


@pytest.fixture
async def edge(world):
    return await world.edge(
        edge_connections_per_user=2,
        edge_channels=3,
        edge_poll_s=3.0,
        cors_origins=("https://desk.example",),
    )


async def test_alert_raised_while_away_is_shown_and_gone_once_acked(world, edge, kind, opened):
    await world.open_inbox("alice")
    raised = [await world.alert(n) for n in range(3)]
    client = await opened(kind, edge, clientId="d")
    assert client.welcome["recovered"]["critical"] == 3
    assert client.welcome["clientId"] == "d"
    assert await client.ids(3) == raised
    assert await world.depth("inbox.alice") == 0, "held, not ready"
    await client.ack(*raised[:2])
    await client.send(type="heartbeat")
    await client.next("heartbeat")
    await client.close()
    back = await opened(kind, edge, clientId="d", resume="true")
    assert await back.ids(1) == raised[2:]
    await back.ack(raised[2])
    await world.empty("inbox.alice")


async def test_every_client_message_is_understood(world, edge, kind, opened):
    client = await opened(kind, edge)
    await client.post(
        {"type": "subscribe", "id": 1, "channels": ["sessions:alice", "bogus"]},
        {"type": "command", "id": 2, "command": "emergency_stop", "sessionId": "s-1"}
        | {"idempotencyKey": "k"},
        {"type": "refresh", "id": 3, "token": mint(SECRET, "alice")},
        {"type": "unsubscribe", "id": 4, "channels": ["sessions:alice"]},
        "{",
    )
    subscribed = await client.next("subscribed")
    assert (subscribed["id"], subscribed["channels"]) == (1, ["sessions:alice"])
    assert subscribed["rejected"] == [{"channel": "bogus", "code": "unknown_channel"}]
    found = {}
    for _ in range(4):
        message = await client.next("accepted", "refreshed", "unsubscribed", "error")
        found[message["type"]] = message.get("id", message.get("code"))
    assert found == {"accepted": 2, "refreshed": 3, "unsubscribed": 4, "error": "bad_message"}


async def test_ack_clears_a_websocket_device_and_the_other_way_round(world, edge, kind, opened):
    socket = await world.client(edge)
    client = await opened(kind, edge)
    first, second = await world.alert(1), await world.alert(2)
    assert await socket.ids(2) == await client.ids(2) == [first, second]
    await client.ack(first)
    assert (await socket.next("acked"))["ids"] == [first]
    await socket.ack(second)
    assert (await client.next("acked"))["ids"] == [second]
    await world.empty("inbox.alice")


async def test_recent_messages_are_settled_by_proof_of_receipt_only(world, edge, kind, opened):
    client = await opened(kind, edge, clientId="d")
    await client.send(type="subscribe", id=1, channels=["sessions:alice"])
    await client.next("subscribed")
    for n in range(5):
        await world.decision(n)
    assert await client.ids(5, "algorithm_decision") == [f"d-{n}" for n in range(5)]
    if kind is Streaming:  # a poll proves what the one before it brought
        line = edge.app.state.lines._lines["recent.alice.d"]
        await world.until(lambda: len(line.tray) == 0)
    client.proves = False
    if kind is Polling:
        client.reading.cancel()
        await asyncio.gather(client.reading, return_exceptions=True)
        asking = asyncio.create_task(client.again())  # proves the five
    await world.decision(5)
    if kind is Polling:
        assert [m["id"] for m in (await asking)["messages"]] == ["d-5"]  # and no poll follows
    else:
        assert await client.ids(1, "algorithm_decision") == ["d-5"]
    await client.close()
    back = await opened(kind, edge, clientId="d", resume="true")
    assert await back.ids(1, "algorithm_decision") == ["d-5"]
    await back.quiet()


async def test_live_values_are_conflated_between_polls(world, edge, opened):
    client = await opened(Polling, edge)
    await client.send(type="subscribe", id=1, channels=["sessions:alice"])
    await client.next("subscribed")
    client.reading.cancel()
    await asyncio.gather(client.reading, return_exceptions=True)
    watcher = await world.client(edge)
    await watcher.send(type="subscribe", channels=["sessions:alice"])
    await watcher.next("subscribed")
    await client.again()  # whatever was due; the connection lags from here on
    for n in range(20):
        await world.status(n)
    while (await watcher.next("session_status"))["id"] != "st-19":
        pass
    batch = await client.again()
    statuses = [m["id"] for m in batch["messages"] if m["type"] == "session_status"]
    assert statuses == ["st-19"]


async def test_batch_whose_answer_was_lost_is_fetched_again(world, edge, opened):
    client = await opened(Polling, edge)
    client.reading.cancel()
    await asyncio.gather(client.reading, return_exceptions=True)
    raised = await world.alert(1)
    batch = {"messages": []}
    while not batch["messages"]:
        batch = await client.again()
    again = await client.again()  # with the old cursor: the answer was lost on its way
    assert [m["id"] for m in again["messages"]] == [raised] == [m["id"] for m in batch["messages"]]
    client.received = batch["cursor"]
    assert (await client.again())["messages"] == []


async def test_a_newer_poll_ends_an_older_one(world, edge, opened):
    client = await opened(Polling, edge)
    client.reading.cancel()
    await asyncio.gather(client.reading, return_exceptions=True)
    older = asyncio.create_task(client.again())
    await asyncio.sleep(0.1)
    newer = asyncio.create_task(client.again())
    assert (await older)["messages"] == []
    assert not newer.done()
    raised = await world.alert(1)
    assert [m["id"] for m in (await newer)["messages"]] == [raised]


async def test_a_named_client_replaces_itself_across_transports(world, edge, kind, opened):
    socket = await world.client(edge, query="?clientId=d")
    client = await opened(kind, edge, clientId="d")
    assert await socket.closed() == 4506
    raised = await world.alert(1)
    assert await client.ids(1) == [raised]
    socket = await world.client(edge, query="?clientId=d&resume=true")
    assert await client.closed() == 4506
    assert await socket.ids(1) == [raised]


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        ("rubbish", 401, 4500),
        (mint("another secret that is long enough, too", "alice"), 401, 4500),
        (mint(SECRET, "alice", ttl_s=-60), 401, 4004),
    ],
    ids=["rubbish", "signature", "expired"],
)
async def test_bad_token_gets_its_status_and_code(edge, kind, opened, token, status, code):
    with pytest.raises(Refused) as refused:
        await opened(kind, edge, token=token)
    assert (refused.value.status, refused.value.code) == (status, code)
    assert edge.app.state.gate.connections[kind.name] == 0


async def test_token_stands_in_the_header_only(edge):
    async with httpx.AsyncClient(base_url=edge.http, timeout=60) as http:
        for path in ("/v1/stream", "/v1/poll"):
            answer = await http.get(path, params={"token": mint(SECRET, "alice")})
            assert (answer.status_code, answer.json()["closeCode"]) == (401, 4502)


async def test_origin_must_be_allowed(edge, kind, opened):
    await opened(kind, edge, headers={"Origin": "https://desk.example"})
    with pytest.raises(Refused) as refused:
        await opened(kind, edge, headers={"Origin": "https://evil.example"})
    assert (refused.value.status, refused.value.code) == (403, 4505)


async def test_connections_are_counted_with_the_sockets(world, edge, kind, opened):
    await world.client(edge)
    await opened(kind, edge)
    assert edge.app.state.gate.connections == {"ws": 1, "sse": 0, "poll": 0} | {kind.name: 1}
    with pytest.raises(Refused) as refused:
        await opened(kind, edge)
    assert (refused.value.status, refused.value.code) == (429, 4504)
    await opened(kind, edge, "bob")


async def test_a_connection_answers_to_its_user_alone(edge, kind, opened):
    client = await opened(kind, edge)
    mallory = await opened(kind, edge, "mallory")
    mallory.welcome = client.welcome
    with pytest.raises(Refused) as refused:
        await mallory.ack("x")
    assert (refused.value.status, refused.value.code) == (410, 1006)


async def test_unknown_connections_are_gone(edge, kind, opened):
    client = await opened(kind, edge)
    key = client.welcome["connectionId"].partition(".")[0]
    for name in ("", "nonsense", f"{key}.unknown", "00000000.unknown", "*.#"):
        with pytest.raises(Refused) as refused:
            await client.post(connectionId=name)
        assert (refused.value.status, refused.value.code) == (410, 1006)


async def test_oversized_message_is_refused_1009_and_nothing_of_it_is_taken(edge, kind, opened):
    client = await opened(kind, edge)
    with pytest.raises(Refused) as refused:
        await client.post({"type": "heartbeat"}, "x" * 65_537)
    assert (refused.value.status, refused.value.code) == (413, 1009)
    await client.quiet()


async def test_too_many_messages(edge, kind, opened):
    client = await opened(kind, edge)
    with suppress(Refused):
        await client.post(*[{"type": "unsubscribe", "channels": ["system"]}] * 200)
    assert await client.closed() == 4006


async def test_token_that_expires_closes_4004(edge, kind, opened):
    client = await opened(kind, edge, claims={"ttl_s": 4})
    assert await client.closed() == 4004


async def test_silent_client_is_closed_4003_and_a_posting_one_is_not(world, kind, opened):
    edge = await world.edge(edge_heartbeat_interval_s=0.4, edge_heartbeat_grace_s=0.4)
    client = await opened(kind, edge)
    if kind is Polling:
        client.reading.cancel()
    for _ in range(4):
        await asyncio.sleep(0.3)
        await client.post()
    assert edge.app.state.gate.connections[kind.name] == 1
    client.proves = False
    await world.until(lambda: not any(edge.app.state.gate.connections.values()))
    if kind is Streaming:
        assert await client.closed() == 4003
    else:
        assert (await client.again())["close"]["code"] == 4003
        with pytest.raises(Refused) as refused:
            await client.again()
        assert refused.value.code == 1006


async def test_a_stream_that_has_proved_everything_is_asked_for_a_sign_of_life_again(world, opened):
    edge = await world.edge(edge_heartbeat_interval_s=0.5, edge_heartbeat_grace_s=5.0)
    client = await opened(Streaming, edge)
    client.proves = False
    for beat in range(1, 4):
        await client.next("heartbeat")
        await world.until(lambda beat=beat: client.pings >= beat)
        await client.post()  # with the newest number, as the SDKs do: the heartbeat's own
    assert client.code is None


async def test_what_ended_is_forgotten_after_a_while(world, opened):
    edge = await world.edge(edge_heartbeat_interval_s=1.0, edge_heartbeat_grace_s=1.0)
    clients = [await opened(kind, edge) for kind in (Streaming, Polling, Streaming)]
    assert len(edge.app.state.fallbacks) == 3
    await clients[0].close()
    for client in clients[1:]:
        client.reading.cancel()
    await world.until(lambda: len(edge.app.state.fallbacks) == 0)


async def test_stream_that_is_left_frees_its_place_at_once(world, edge, opened):
    client = await opened(Streaming, edge)
    raised = await world.alert(1)
    assert await client.ids(1) == [raised]
    await client.close()
    await world.until(lambda: edge.app.state.gate.connections["sse"] == 0)


async def test_poll_that_says_good_bye_frees_its_place_at_once(world, edge, opened):
    client = await opened(Polling, edge)
    answer = await client.http.delete(
        f"{edge.http}/v1/messages", params={"connectionId": client.welcome["connectionId"]}
    )
    assert answer.status_code == 204
    assert edge.app.state.gate.connections["poll"] == 0


async def test_drain_announces_and_closes(world, kind, opened):
    edge = await world.edge()
    client = await opened(kind, edge)
    raised = [await world.alert(n) for n in range(30)]
    assert await client.ids(30) == raised
    draining = asyncio.create_task(edge.app.state.lifecycle.drain())
    assert (await client.next("draining"))["windowMs"] >= 0
    assert await client.closed() == 4000
    await draining
    assert await world.depth("inbox.alice") == 30
    with pytest.raises(Refused) as refused:
        await opened(kind, edge)
    assert (refused.value.status, refused.value.code) == (503, 4000)


async def test_slow_stream_is_closed_4001_and_cut_off(world, opened):
    edge = await world.edge()
    client = await opened(Streaming, edge, clientId="slow")
    client.reading.cancel()  # nothing is read any more
    for n in range(1200):
        await world.alert(f"{n:04}", level="warning")
    await world.until(lambda: edge.app.state.gate.connections["sse"] == 0)
    back = await opened(Streaming, edge, clientId="slow", resume="true")
    assert back.welcome["recovered"] == {"critical": 0, "recent": 100, "gap": True}


async def test_requests_reach_the_edge_that_has_the_connection(world, kind, opened):
    edge, other = await world.edge(), await world.edge()
    client = await opened(kind, edge)
    client.at = other
    await client.send(type="subscribe", id=1, channels=["sessions:alice"])
    assert (await client.next("subscribed"))["id"] == 1
    raised = [await world.alert(n) for n in range(3)]
    assert await client.ids(3) == raised
    await client.ack(*raised)
    await world.empty("inbox.alice")
    assert edge.app.state.gate.connections[kind.name] == 1
    assert other.app.state.gate.connections[kind.name] == 0
    await edge.app.state.lifecycle.drain()
    assert await client.closed() == 4000
