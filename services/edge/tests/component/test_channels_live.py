"""Subscriptions, live events, recent trays and named devices."""

import json

from tapewire.broker import Link, Publisher, Role, responder, topology
from tapewire.contracts import SYMBOLS_HEADER, bundle_key, bundle_shard


async def subscribe(client, *channels):
    await client.send(type="subscribe", id=7, channels=list(channels))
    reply = await client.next("subscribed")
    assert reply["id"] == 7
    return reply


async def bundle(world, *symbols):
    lines = [
        json.dumps({"type": "market_data", "id": f"q-{s}", "symbol": s, "last": 1.0})
        for s in symbols
    ]
    shards = {bundle_shard(s) for s in symbols}
    assert len(shards) == 1
    await world.publisher.publish(
        topology.MARKET,
        bundle_key(shards.pop()),
        "\n".join(lines).replace(": ", ":").encode(),
        type="bundle",
        message_id="b",
        headers={SYMBOLS_HEADER: ",".join(symbols)},
        persistent=False,
    )


def neighbours(symbol):
    return next(
        other
        for other in (f"S{n}" for n in range(1000))
        if other != symbol and bundle_shard(other) == bundle_shard(symbol)
    )


async def test_subscriber_gets_live_and_recent_events_of_its_sessions_only(world):
    edge = await world.edge()
    nameless, named = (
        await world.client(edge),
        await world.client(edge, query="?clientId=desk"),
    )
    for client in (nameless, named):
        reply = await subscribe(client, "sessions:alice", "sessions:bob")
        assert reply["channels"] == ["sessions:alice"]
        assert reply["rejected"] == [{"channel": "sessions:bob", "code": "forbidden"}]
    await world.decision(0, user="bob")
    await world.decision(1)
    await world.status(1)
    for client in (nameless, named):
        got = {(await client.next())["id"], (await client.next())["id"]}
        assert got == {"d-1", "st-1"}
        await client.quiet(0.1)


async def test_one_session_only(world):
    edge = await world.edge()
    client = await world.client(edge, query="?clientId=desk")
    await subscribe(client, "session:s-2")
    await world.decision(1, session="s-1")
    await world.decision(2, session="s-2")
    assert (await client.next())["id"] == "d-2"
    await client.quiet(0.1)


async def test_bundle_is_cut_by_symbol(world):
    edge = await world.edge()
    client = await world.client(edge)
    await subscribe(client, "market:SPY")
    await bundle(world, neighbours("SPY"), "SPY")
    assert (await client.next("market_data"))["symbol"] == "SPY"
    await client.quiet(0.1)
    await client.send(type="unsubscribe", id=8, channels=["market:SPY"])
    assert (await client.next("unsubscribed"))["channels"] == ["market:SPY"]
    await bundle(world, "SPY")
    await client.quiet(0.2)


async def test_subscription_brings_a_snapshot_where_there_is_one(world):
    edge = await world.edge()
    link, out = (
        Link(world.amqp_url, Role.CONSUME, name="market"),
        Link(world.amqp_url, Role.PUBLISH, name="market"),
    )
    await link.start()
    await out.start()

    async def answer(body):
        assert json.loads(body) == {"channels": ["market:SPY"]}
        return b'{"type":"market_data","symbol":"SPY","snapshot":true}\n'

    consumer = responder(link, Publisher(out), topology.MARKET_SNAPSHOT, answer)
    await consumer.start()
    client = await world.client(edge)
    await subscribe(client, "market:SPY", "sessions:alice")
    assert (await client.next("market_data"))["snapshot"] is True
    await consumer.stop()
    await link.close()
    await out.close()


async def test_warning_burst_while_away_leaves_the_newest_hundred_and_a_gap(world):
    edge = await world.edge()
    for query in ("", "?clientId=desk"):
        first = await world.client(edge, query=query)
        await first.socket.close()
        await world.consumers_gone("recent.alice" + (".desk" if query else ""))
    raised = [await world.alert(f"{n:03}", level="warning") for n in range(150)]
    for query in ("", "?clientId=desk&resume=true"):
        client = await world.client(edge, query=query)
        assert client.welcome["recovered"] == {"critical": 0, "recent": 100, "gap": True}
        assert await client.ids(100) == raised[50:]
        await client.quiet(0.1)
    await world.empty("recent.alice")
    await world.empty("recent.alice.desk")
    again = await world.client(edge, query="?clientId=desk&resume=true")
    assert again.welcome["recovered"] == {"critical": 0, "recent": 0, "gap": False}


async def test_exactly_a_hundred_waiting_is_no_gap(world):
    edge = await world.edge()
    first = await world.client(edge)
    await first.socket.close()
    await world.consumers_gone("recent.alice")
    raised = [await world.alert(f"{n:03}", level="warning") for n in range(100)]
    client = await world.client(edge)
    assert client.welcome["recovered"] == {"critical": 0, "recent": 100, "gap": False}
    assert await client.ids(100) == raised


async def test_resuming_a_device_whose_tray_has_expired_is_a_gap(world):
    edge = await world.edge()
    client = await world.client(edge, query="?clientId=desk&resume=true")
    assert client.welcome["recovered"]["gap"] is True
    fresh = await world.client(edge, query="?clientId=new")
    assert fresh.welcome["recovered"]["gap"] is False


async def test_named_device_keeps_its_subscriptions_and_what_it_missed(world):
    first, second = await world.edge(), await world.edge()
    device = await world.client(first, query="?clientId=desk")
    assert device.welcome["channels"] == ["user:alice"]
    await subscribe(device, "sessions:alice", "market:SPY")
    await device.socket.close()
    await world.consumers_gone("recent.alice.desk")
    online = await world.client(first, query="?clientId=phone")
    await subscribe(online, "sessions:alice")
    made = [await world.decision(n) for n in range(5)]
    assert await online.ids(5, "algorithm_decision") == made
    back = await world.client(second, query="?clientId=desk&resume=true")
    assert back.welcome["channels"] == ["user:alice", "sessions:alice", "market:SPY"]
    assert back.welcome["recovered"] == {"critical": 0, "recent": 5, "gap": False}
    assert await back.ids(5, "algorithm_decision") == made
    await bundle(world, "SPY")
    assert (await back.next("market_data"))["symbol"] == "SPY"
    await back.send(type="unsubscribe", channels=["sessions:alice"])
    await back.next("unsubscribed")
    await back.socket.close()
    await world.consumers_gone("recent.alice.desk")
    await world.decision(99)
    assert await world.depth("recent.alice.desk") == 0
    last = await world.client(first, query="?clientId=desk")
    assert last.welcome["channels"] == ["user:alice", "market:SPY"]


async def test_supervisor_sees_alerts_of_the_supervised_without_taking_them(world):
    edge = await world.edge()
    await world.open_inbox("alice")
    boss = await world.client(edge, "bob", claims={"supervises": ["alice"]})
    await subscribe(boss, "user:alice", "sessions:alice")
    raised = await world.alert(1)
    assert await boss.ids(1) == [raised]
    await boss.ack(raised)
    await boss.round_trip()
    assert await world.depth("inbox.alice") == 1


async def test_account_events_reach_every_device(world):
    edge = await world.edge()
    clients = [await world.client(edge), await world.client(edge, query="?clientId=desk")]
    await world.publish(type="notification_read", userId="alice", ids=["n-1"], unreadCount=3)
    for client in clients:
        assert (await client.next("notification_read"))["unreadCount"] == 3


async def test_account_events_reach_nobody_else(world):
    edge = await world.edge()
    other = await world.client(edge, "bob")
    alice = await world.client(edge)
    await world.publish(type="notification_read", userId="alice", ids=["n-1"], unreadCount=3)
    await alice.next("notification_read")
    await world.publish(type="notification_read", userId="bob", ids=["n-2"], unreadCount=5)
    assert (await other.next("notification_read"))["unreadCount"] == 5


async def test_recent_message_is_settled_once_the_client_has_it(world):
    edge = await world.edge()
    client = await world.client(edge)
    raised = await world.alert(1, level="warning")
    assert await client.ids(1) == [raised]
    await world.empty("recent.alice")
    await client.socket.close()
    again = await world.client(edge)
    assert again.welcome["recovered"]["recent"] == 0
