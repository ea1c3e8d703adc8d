"""Critical alerts, from the broker to a client's ack and back."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace

from tapewire.broker import declare, topology
from tapewire.edge.mailbox import newcomers


async def test_alert_raised_while_away_is_delivered_acked_and_gone(world):
    edge = await world.edge()
    await world.open_inbox("alice")
    raised = await world.alert(1)
    client = await world.client(edge)
    assert client.welcome["recovered"] == {"critical": 1, "recent": 0, "gap": False}
    alert = await client.next("risk_alert")
    assert alert["id"] == raised
    assert alert["ack"] is True
    await client.ack(raised)
    await client.round_trip()
    await client.socket.close()
    again = await world.client(edge)
    assert again.welcome["recovered"]["critical"] == 0
    await again.quiet()


async def test_alert_for_a_user_never_seen_waits_in_the_mailroom_not_in_oblivion(world):
    await world.alert(1, user="newcomer")
    assert await world.depth("mailroom") == 1


async def forward(world, count):
    """Do what desk does with what waits in the mailroom."""
    channel = await world.link.channel()
    done = asyncio.Event()
    handled = 0

    async def put(message):
        nonlocal handled
        properties = message.header.properties
        await world.publisher.publish(
            *("", "inbox.newcomer", message.body),
            type=properties.message_type,
            message_id=properties.message_id,
        )
        await channel.basic_ack(message.delivery_tag)
        handled += 1
        if handled == count:
            done.set()

    await channel.basic_qos(prefetch_count=1)
    await channel.basic_consume("mailroom", put)
    async with asyncio.timeout(30):
        await done.wait()
    await channel.close()


async def first_shown(world, client):
    """Raise alerts until one is shown; return its id."""
    for number in range(100):
        await world.alert(f"more-{number}", user="newcomer")
        with suppress(TimeoutError):
            shown = await client.next("risk_alert", timeout_s=0.2)
            return shown["id"]
    raise AssertionError("the inbox is not bound")


async def test_what_comes_for_a_newcomer_stays_behind_what_waits_in_the_mailroom(
    world, monkeypatch
):
    monkeypatch.setattr(newcomers, "WAIT_S", 3600.0)
    raised = [await world.alert(n, user="newcomer") for n in range(3)]
    edge = await world.edge()
    client = await world.client(edge, "newcomer")
    raised += [await world.alert(n, user="newcomer") for n in range(3, 5)]
    await client.quiet(0.5)  # were it bound, the last two would be shown first
    await forward(world, len(raised))
    assert await client.ids(5) == raised
    await world.until(lambda: not edge.app.state.lines._newcomers._unbound)
    more = await world.alert("more", user="newcomer")
    assert await client.ids(1) == [more]


async def test_a_newcomer_does_not_wait_for_long_for_a_desk_that_is_away(world, monkeypatch):
    monkeypatch.setattr(newcomers, "WAIT_S", 0.1)
    await world.alert("0", user="somebody-else")
    client = await world.client(await world.edge(), "newcomer")
    assert (await first_shown(world, client)).startswith("critical-more")


async def test_unacked_alerts_come_again_in_order_to_any_edge(world):
    first, second = await world.edge(), await world.edge()
    client = await world.client(first)
    raised = [await world.alert(n) for n in range(5)]
    assert await client.ids(5) == raised
    await client.ack(raised[1])
    await client.round_trip()
    await client.socket.close()
    again = await world.client(second)
    assert [await again.next("risk_alert") for _ in range(4)] == [
        message | {"redelivered": True}
        for message in client.seen
        if message.get("id") in raised and message["id"] != raised[1]
    ]


async def test_ack_up_to_settles_all_before_it(world):
    edge = await world.edge()
    client = await world.client(edge)
    raised = [await world.alert(n) for n in range(5)]
    assert await client.ids(5) == raised
    await client.send(type="ack", upTo=raised[3])
    await client.send(type="ack", upTo=raised[3])  # idempotent
    await client.round_trip()
    await client.socket.close()
    again = await world.client(edge)
    assert await again.ids(1) == raised[4:]
    await again.quiet()


async def test_ack_on_one_device_clears_the_other(world):
    edge = await world.edge()
    desktop, phone = await world.client(edge), await world.client(edge, query="?clientId=phone")
    raised = await world.alert(1)
    assert await desktop.ids(1) == await phone.ids(1) == [raised]
    await phone.ack(raised)
    assert (await desktop.next("acked"))["ids"] == [raised]
    await phone.quiet()
    await world.empty("inbox.alice")


async def test_unacked_alert_is_shown_again_after_the_deadline(world):
    edge = await world.edge(edge_ack_deadline_s=0.5)
    client = await world.client(edge)
    raised = await world.alert(1)
    assert "redelivered" not in await client.next("risk_alert")
    again = await client.next("risk_alert")
    assert again["id"] == raised
    assert again["redelivered"] is True


async def test_alert_held_too_long_is_requeued_without_being_shown_twice(world):
    edge = await world.edge(edge_requeue_after_s=0.5)
    client = await world.client(edge)
    raised = [await world.alert(n) for n in range(3)]
    assert await client.ids(3) == raised
    await client.quiet(2.5)
    await client.send(type="ack", upTo=raised[-1])
    await client.round_trip()
    await client.socket.close()
    await world.empty("inbox.alice")
    again = await world.client(edge)
    assert again.welcome["recovered"]["critical"] == 0


async def test_own_inbox_is_apart_from_the_users(world):
    edge = await world.edge()
    person = await world.client(edge)
    bot = await world.client(edge, query="?clientId=bot&inbox=own")
    raised = await world.alert(1)
    assert await person.ids(1) == await bot.ids(1) == [raised]
    await bot.ack(raised)
    await person.quiet()
    await person.socket.close()
    await bot.socket.close()
    again = await world.client(edge)
    assert await again.ids(1) == [raised]
    bot = await world.client(edge, query="?clientId=bot&inbox=own")
    await bot.quiet()


async def test_own_inbox_of_a_user_never_seen_opens_the_users_inbox_too(world):
    edge = await world.edge()
    await world.client(edge, "carol", query="?clientId=bot&inbox=own")
    raised = await world.alert(1, user="carol")
    person = await world.client(edge, "carol")
    assert await person.ids(1) == [raised]


async def test_own_inbox_mends_the_users_that_an_edge_left_unbound(world):
    whole = topology.inbox("carol", queue_type=world.queue_type)
    await declare(world.link, [replace(whole, bindings=())])  # the edge died before it bound it
    edge = await world.edge()
    await world.client(edge, "carol", query="?clientId=bot&inbox=own")
    raised = await world.alert(1, user="carol")
    person = await world.client(edge, "carol")
    assert await person.ids(1) == [raised]


async def test_everyone_gets_a_critical_notice(world):
    edge = await world.edge()
    clients = [await world.client(edge, user) for user in ("alice", "bob")]
    await world.publish(
        type="system_notification", userId="all", level="critical", title="t", message="m", id="n-1"
    )
    for client in clients:
        assert (await client.next("system_notification"))["ack"] is True


async def test_burst_larger_than_the_window_arrives_in_order(world):
    edge = await world.edge()
    await world.open_inbox("alice")
    raised = await asyncio.gather(*(world.alert(f"{n:04}") for n in range(600)))
    client = await world.client(edge)
    assert client.welcome["recovered"]["critical"] == 600
    got = []
    while len(got) < 600:
        got += await client.ids(1)
        if len(got) % 50 == 0:
            await client.send(type="ack", upTo=got[-1])
    assert got == list(raised)
    await world.empty("inbox.alice")


async def test_body_reaches_the_client_byte_for_byte(world):
    edge = await world.edge()
    client = await world.client(edge)
    body = json.dumps({"type": "risk_alert", "id": "x", "message": "°", "ack": True}).encode()
    await world.publisher.publish(
        "tw.alerts", "alice.s-1.loss_limit.critical", body, type="risk_alert", message_id="x"
    )
    assert (await client.socket.recv()).encode() == body
