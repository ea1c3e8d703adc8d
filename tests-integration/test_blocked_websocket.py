"""Users whose proxy lets no WebSocket through: the same alerts by event stream and by polls."""

import asyncio

import pytest
from office_proxy import office_proxy
from plain import DEADLINE_S, alert, connected, decision, ids, publish
from plain_http import fetching

from tapewire.client import Backoff, WebSocketClient

HOWS = ("sse", "poll")


@pytest.mark.parametrize("how", HOWS)
async def test_an_alert_raised_while_away_reaches_who_has_no_websocket(fleet, user, how):
    raised = [alert(user, number) for number in range(3)]
    async with fetching(fleet, user, how):
        pass  # has been here, so that nothing passes through the mailroom
    await publish(fleet, *raised)
    async with fetching(fleet, user, how) as client:
        assert client.heard[0]["recovered"]["critical"] == 3
        assert ids(await client.until("risk_alert", 3)) == ids(raised)
        await client.ack(*raised[:2])
    async with (
        fetching(fleet, user, how, "edge-2") as client,
        connected(fleet, user, "edge-1") as socket,
    ):
        assert ids(await client.until("risk_alert")) == ids(await socket.until("risk_alert"))
        assert ids(client.all("risk_alert")) == ids(raised[2:])
        await client.ack(raised[2])
        assert (await socket.until("acked"))[0]["ids"] == ids(raised[2:])
    async with connected(fleet, user, "edge-2") as later:
        assert later.heard[0]["recovered"]["critical"] == 0


async def test_a_device_that_changes_its_transport_misses_nothing(fleet, user):
    wanted = [decision(user, number) for number in range(6)]
    alerts = [alert(user, number) for number in range(6)]
    device = {"clientId": "laptop", "resume": "true"}
    async with connected(fleet, user, "edge-1", clientId="laptop") as socket:
        await socket.subscribe(f"sessions:{user}")
        await publish(fleet, *wanted[:2], *alerts[:2])
        await socket.until("algorithm_decision", 2)
        await socket.until("risk_alert", 2)
        async with fetching(fleet, user, "sse", "edge-2", **device) as stream:
            assert await socket.until_closed() == 4506
            await publish(fleet, *wanted[2:4], *alerts[2:4])
            await stream.when(lambda: wanted[3]["id"] in ids(stream.all("algorithm_decision")))
            assert ids(await stream.until("risk_alert", 4)) == ids(alerts[:4])
            async with fetching(fleet, user, "poll", "edge-1", **device) as poll:
                assert await stream.until_closed() == 4506
                await publish(fleet, *wanted[4:], *alerts[4:])
                await poll.when(lambda: wanted[5]["id"] in ids(poll.all("algorithm_decision")))
                assert ids(await poll.until("risk_alert", 6)) == ids(alerts)
                await poll.ack(*alerts)
                async with connected(fleet, user, "edge-2", **device) as back:
                    assert await poll.until_closed() == 4506
                    assert back.heard[0]["recovered"]["critical"] == 0
                    shown = [
                        key
                        for client in (socket, stream, poll, back)
                        for key in ids(client.all("algorithm_decision"))
                    ]
                    assert list(dict.fromkeys(shown)) == ids(wanted)


@pytest.mark.parametrize("how", HOWS)
async def test_posts_and_polls_find_their_connection_through_any_edge(fleet, user, how):
    """Behind the proxy where there is one: it knows nothing of connections."""
    front = fleet.front
    raised = [alert(user, number) for number in range(8)]
    async with fetching(fleet, user, how, url=front) as client:
        if front is None:
            client.post_to(fleet.url("edge-2"))
        for raise_ in raised:
            await publish(fleet, raise_)
            await client.when(lambda now=raise_: now["id"] in ids(client.all("risk_alert")))
            await client.ack(raise_)
        assert ids(client.all("risk_alert")) == ids(raised)
        await asyncio.gather(*(client.send(type="heartbeat") for _ in range(8)))
        await client.until("heartbeat", 8)
    async with connected(fleet, user) as later:
        assert later.heard[0]["recovered"]["critical"] == 0


async def test_an_edge_that_is_gone_takes_its_connections_with_it(fleet, user):
    raised = alert(user, 1)
    async with fetching(fleet, user, "poll", "edge-1", clientId="laptop") as client:
        await publish(fleet, raised)
        await client.until("risk_alert")
        client.post_to(fleet.url("edge-2"))
        await fleet.kill("edge-1")
        assert await client.refused(type="ack", ids=[raised["id"]]) == (410, 1006)
    async with fetching(fleet, user, "poll", "edge-2", clientId="laptop", resume="true") as back:
        assert ids(await back.until("risk_alert")) == [raised["id"]]
        await back.ack(raised)
    await fleet.until_ready("edge-1")


@pytest.mark.parametrize(
    ("streams", "transport"), [(True, "sse"), (False, "long-poll")], ids=["stream", "polls"]
)
async def test_the_python_sdk_goes_on_behind_a_proxy_and_returns_to_websocket(
    fleet, user, streams, transport
):
    raised = [alert(user, number) for number in range(6)]
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with (
        asyncio.timeout(DEADLINE_S),
        office_proxy(websockets=False, streams=streams) as proxy,
    ):
        client = WebSocketClient(
            fleet.url("edge-1"),
            lambda: fleet.token(user),
            client_id="bot",
            backoff=Backoff(first_s=0.05, cap_s=0.2),
            connect_options={"proxy": proxy.url},
        )
        client.on_message("risk_alert", lambda message: heard.put_nowait(message["id"]))
        async with client:
            assert client.transport == transport
            assert proxy.refused >= 2
            await publish(fleet, *raised[:3])
            assert [await heard.get() for _ in range(3)] == ids(raised[:3])
            assert (await client.subscribe([f"sessions:{user}"])).channels

            proxy.websockets = True
            await client.reconnect()
            while client.transport != "websocket":
                await asyncio.sleep(0.05)
            await publish(fleet, *raised[3:])
            assert [await heard.get() for _ in range(3)] == ids(raised[3:])
        assert heard.empty()
    async with connected(fleet, user) as later:
        assert later.heard[0]["recovered"]["critical"] == 0
