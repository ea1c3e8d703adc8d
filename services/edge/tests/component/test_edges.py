"""Several edges and several devices of one user."""

import asyncio
import os
import signal

import httpx
import pytest


async def test_each_device_on_each_edge_gets_each_alert_once_in_order(world):
    first, second = await world.edge(), await world.edge()
    a = await world.client(first)
    b = await world.client(second)
    raised = [await world.alert(n) for n in range(20)]
    assert await a.ids(20) == raised
    assert await b.ids(20) == raised
    late = await world.client(second)
    assert await late.ids(20) == raised
    other = await world.client(first)
    assert await other.ids(20) == raised
    more = [await world.alert(n) for n in range(20, 25)]
    for client in (a, b, late, other):
        assert await client.ids(5) == more
        await client.quiet(0.1)


async def test_late_joiner_on_another_edge_sees_no_gap_and_no_double_under_fire(world):
    first, second = await world.edge(), await world.edge()
    a = await world.client(first)

    async def fire():
        return [await world.alert(f"{n:03}") for n in range(200)]

    firing = asyncio.create_task(fire())
    assert len(await a.ids(50)) == 50
    b = await world.client(second)
    raised = await firing
    assert await a.ids(150) == raised[50:]
    assert await b.ids(200) == raised
    await b.quiet(0.2)


@pytest.mark.parametrize("acker", ["holder", "other"])
async def test_ack_on_one_edge_clears_the_other(world, acker):
    first, second = await world.edge(), await world.edge()
    a = await world.client(first)
    b = await world.client(second)
    raised = await world.alert(1)
    assert await a.ids(1) == await b.ids(1) == [raised]
    acking, told = (a, b) if acker == "holder" else (b, a)
    await acking.ack(raised)
    assert (await told.next("acked"))["ids"] == [raised]
    await a.socket.close()
    await b.socket.close()
    again = await world.client(first)
    assert again.welcome["recovered"]["critical"] == 0
    await again.quiet()


async def test_when_the_holder_leaves_the_other_goes_on_in_order(world):
    first, second = await world.edge(), await world.edge()
    a = await world.client(first)
    b = await world.client(second)
    before = [await world.alert(n) for n in range(10)]
    assert await a.ids(10) == await b.ids(10) == before
    await a.socket.close()
    after = [await world.alert(n) for n in range(10, 20)]
    assert await b.ids(10) == after
    await b.quiet(0.2)
    await b.send(type="ack", upTo=after[-1])
    await b.round_trip()
    await b.socket.close()
    await world.empty("inbox.alice")


async def test_when_the_holder_is_killed_the_other_goes_on_in_order(world):
    second = await world.edge()
    process, first = await world.edge_process()
    a = await world.client(first)
    b = await world.client(second)
    before = [await world.alert(n) for n in range(10)]
    assert await a.ids(10) == await b.ids(10) == before
    await b.ack(before[3])
    assert (await a.next("acked"))["ids"] == [before[3]]
    os.kill(process.pid, signal.SIGKILL)
    after = [await world.alert(n) for n in range(10, 20)]
    got = [(await b.next("risk_alert"))["id"] for _ in range(10)]
    assert got == after
    await b.quiet(0.2)
    await b.send(type="ack", upTo=after[-1])
    await b.round_trip()
    await b.socket.close()
    await world.empty("inbox.alice")


async def test_newer_connection_of_a_client_replaces_the_older(world):
    first, second = await world.edge(), await world.edge()
    query = "?clientId=exec-1"
    older = await world.client(first, query=query)
    same_edge = await world.client(first, query=query)
    assert await older.closed() == 4506
    other_edge = await world.client(second, query=query)
    assert await same_edge.closed() == 4506
    raised = await world.alert(1)
    assert await other_edge.ids(1) == [raised]


async def test_bot_that_restarts_gets_its_own_inbox_back_at_once_and_in_order(world):
    first, second = await world.edge(), await world.edge()
    query = "?clientId=bot&inbox=own"
    ghost = await world.client(first, query=query)
    raised = [await world.alert(n) for n in range(10)]
    assert await ghost.ids(10) == raised
    bot = await world.client(second, query=query)
    assert await bot.ids(10) == raised
    await bot.quiet(0.2)


async def test_recent_tray_is_shared_by_nameless_connections_of_two_edges(world):
    first, second = await world.edge(), await world.edge()
    a = await world.client(first)
    b = await world.client(second)
    raised = [await world.alert(n, level="warning") for n in range(10)]
    assert await a.ids(10) == raised
    assert await b.ids(10) == raised
    await world.empty("recent.alice")
    await a.socket.close()
    more = [await world.alert(n, level="warning") for n in range(10, 15)]
    assert await b.ids(5) == more
    await b.quiet(0.2)


async def test_edge_that_loses_the_broker_reattaches_without_doubles(world):
    edge = await world.edge()
    client = await world.client(edge, query="?clientId=desk")
    await client.send(type="subscribe", id=1, channels=["sessions:alice"])
    await client.next("subscribed")
    raised = [await world.alert(n) for n in range(3)]
    assert await client.ids(3) == raised
    links = edge.app.state.links
    for link in (links.consuming, links.publishing, links.topology):
        await (await link.connected()).transport.connection.close()
    await world.until(lambda: not edge.app.state.lifecycle.ready)
    more = [await world.alert(n) for n in range(3, 6)]
    await world.until(lambda: edge.app.state.lifecycle.ready)
    assert await client.ids(3) == more
    await client.quiet(0.3)
    status = await world.status(1)
    assert (await client.next("session_status"))["id"] == status
    decision = await world.decision(1)
    assert (await client.next("algorithm_decision"))["id"] == decision
    await client.send(type="ack", upTo=more[-1])
    await client.round_trip()
    await client.socket.close()
    await world.empty("inbox.alice")


async def test_relays_that_were_lost_are_asked_for_and_order_stands(world, monkeypatch):
    first, second = await world.edge(), await world.edge()
    a, b = await world.client(first), await world.client(second)
    before = [await world.alert(n) for n in range(3)]
    assert await a.ids(3) == await b.ids(3) == before
    with monkeypatch.context() as lossy:
        lossy.setattr(first.app.state.lines.letters._relays, "_put", lambda *_, **__: None)
        lost = [await world.alert(n) for n in range(3, 6)]
        assert await a.ids(3) == lost
    after = [await world.alert(n) for n in range(6, 9)]
    assert await b.ids(6) == lost + after
    await b.quiet(0.2)


async def test_relays_lost_with_the_connection_are_asked_for_when_it_is_back(world, monkeypatch):
    first, second = await world.edge(), await world.edge()
    a, b = await world.client(first), await world.client(second)
    before = await world.alert(0)
    assert await a.ids(1) == await b.ids(1) == [before]
    with monkeypatch.context() as lossy:
        lossy.setattr(first.app.state.lines.letters._relays, "_put", lambda *_, **__: None)
        lost = [await world.alert(n) for n in range(1, 4)]
        assert await a.ids(3) == lost
    publishing = first.app.state.links.publishing
    await (await publishing.connected()).transport.connection.close()
    assert await b.ids(3) == lost
    await b.quiet(0.2)


async def test_mailbox_opens_although_the_first_look_failed_in_a_way_nobody_thought_of(
    world, monkeypatch
):
    edge = await world.edge()
    admin = edge.app.state.lines._admins["critical"]
    failures = [LookupError("of a kind that no broker raises")]
    look = admin.look

    async def once(queue):
        if failures:
            raise failures.pop()
        return await look(queue)

    monkeypatch.setattr(admin, "look", once)
    client = await world.client(edge)
    raised = await world.alert(1)
    assert await client.ids(1) == [raised]


async def test_user_comes_back_although_the_tray_was_not_given_back_as_it_should(
    world, monkeypatch
):
    edge = await world.edge()
    client = await world.client(edge)
    raised = [await world.alert(n) for n in range(3)]
    assert await client.ids(3) == raised

    async def fail(line):
        raise LookupError("of a kind that no broker raises")

    with monkeypatch.context() as failing:
        failing.setattr(edge.app.state.lines._handover, "give_back", fail)
        await client.socket.close()
        await world.until(lambda: not list(edge.app.state.lines))
    back = await world.client(edge)
    assert await back.ids(3) == raised


async def test_operator_disconnects_a_user_on_every_edge_or_one_connection_of_theirs(world):
    first, second = await world.edge(), await world.edge()
    operator = {"Authorization": f"Bearer {world.token('olga', scopes=['admin'])}"}
    here, there = await world.client(first), await world.client(second)
    other = await world.client(second, "bob")
    async with httpx.AsyncClient(base_url=first.http, headers=operator) as http:

        async def disconnect(**whom):
            return await http.post("/v1/connections/disconnect", json=whom)

        one = await disconnect(userId="alice", connectionId=there.welcome["connectionId"])
        assert (one.status_code, one.json()) == (202, {"here": 0})
        assert await there.closed() == 4503
        assert (await disconnect(userId="alice")).json() == {"here": 1}
        assert await here.closed() == 4503
        await other.round_trip()
        assert (await disconnect(userId="alice", all=True)).status_code == 422
    trader = {"Authorization": f"Bearer {world.token('alice')}"}
    async with httpx.AsyncClient(base_url=first.http, headers=trader) as http:
        refused = await http.post("/v1/connections/disconnect", json={"userId": "bob"})
        assert refused.status_code == 403
