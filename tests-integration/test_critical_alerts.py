"""A critical alert stays until somebody says that it arrived."""

import asyncio

import pytest
from plain import alert, connected, ids, publish

from tapewire.client import WebSocketClient


async def test_alerts_for_a_user_never_seen_wait_for_the_first_connection(fleet, user):
    alerts = [alert(user, number) for number in range(10)]
    await publish(fleet, *alerts)
    async with connected(fleet, user) as alice:
        assert ids(await alice.until("risk_alert", 10)) == ids(alerts)
        assert all(message["ack"] for message in alice.all("risk_alert"))
        await alice.ack(*alerts)
    async with connected(fleet, user, "edge-2") as alice:
        await alice.fence()
        assert alice.heard[0]["recovered"]["critical"] == 0
        assert alice.all("risk_alert") == []


async def test_an_alert_raised_while_no_edge_runs_is_delivered_afterwards(fleet, user):
    async with connected(fleet, user):
        pass  # so that the inbox exists, as after any day's work
    try:
        await asyncio.gather(fleet.stop("edge-1"), fleet.stop("edge-2"))
        await publish(fleet, alert(user, 1), alert(f"{user}-new", 1))
    finally:
        await asyncio.gather(fleet.start("edge-1"), fleet.start("edge-2"))
    for one in (user, f"{user}-new"):
        async with connected(fleet, one) as client:
            assert ids(await client.until("risk_alert")) == [f"{one}-critical-1"]


@pytest.mark.parametrize("second", ["edge-1", "edge-2"])
async def test_an_unacked_alert_comes_again_to_any_edge_in_order(fleet, user, second):
    alerts = [alert(user, number) for number in range(30)]
    await publish(fleet, *alerts)
    async with connected(fleet, user, "edge-1") as alice:
        assert ids(await alice.until("risk_alert", 30)) == ids(alerts)
        await alice.ack(alerts[0], alerts[2])
        await alice.fence()
        await alice.cut()
    left = [alerts[1], *alerts[3:]]
    async with connected(fleet, user, second, resume="true") as alice:
        assert ids(await alice.until("risk_alert", len(left))) == ids(left)
        await alice.ack(*left)
        await alice.fence()
        assert ids(alice.all("risk_alert")) == ids(left)


async def test_a_cumulative_ack_settles_all_up_to_its_id(fleet, user):
    alerts = [alert(user, number) for number in range(5)]
    await publish(fleet, *alerts)
    async with connected(fleet, user) as alice:
        await alice.until("risk_alert", 5)
        await alice.send(type="ack", upTo=alerts[3]["id"])
        await alice.fence()
    async with connected(fleet, user, "edge-2") as alice:
        assert ids(await alice.until("risk_alert")) == [alerts[4]["id"]]


async def test_a_bot_with_an_inbox_of_its_own_takes_no_alert_from_a_person(fleet, user):
    bot = {"clientId": "exec-1", "inbox": "own"}
    async with connected(fleet, user, **bot) as exec_1:
        await publish(fleet, alert(user, 1))
        await exec_1.ack(*await exec_1.until("risk_alert"))
        await exec_1.fence()
    async with connected(fleet, user, "edge-2") as alice:
        await alice.ack(*await alice.until("risk_alert"))
        await alice.fence()
    async with connected(fleet, user, "edge-2", **bot) as exec_1:
        assert exec_1.heard[0]["recovered"]["critical"] == 0
        await publish(fleet, alert(user, 2))
        assert ids(await exec_1.until("risk_alert")) == [f"{user}-critical-2"]
    async with connected(fleet, user, **bot) as exec_1:  # unacked: it is still there for the bot
        assert ids(await exec_1.until("risk_alert")) == [f"{user}-critical-2"]


async def test_the_sdk_hands_each_alert_on_once_also_over_a_restart(fleet, user, tmp_path):
    handled = []
    urls = [fleet.url("edge-1"), fleet.url("edge-2")]
    await publish(fleet, *(alert(user, number) for number in range(3)))
    for count in (3, 5):  # the program is started twice
        arrived = asyncio.Event()
        client = WebSocketClient(urls, lambda: fleet.token(user), store=tmp_path / "seen")

        @client.on_message("risk_alert")
        async def handle(message, enough=count, arrived=arrived):
            handled.append(message["id"])
            if len(handled) == enough:
                arrived.set()

        async with client, asyncio.timeout(30):
            if count == 5:
                await publish(fleet, alert(user, 3), alert(user, 4))
            await arrived.wait()
    assert handled == [f"{user}-critical-{number}" for number in range(5)]
    async with connected(fleet, user) as alice:
        assert alice.heard[0]["recovered"]["critical"] == 0


async def test_a_killed_edge_loses_nothing_that_was_unacked(fleet, user):
    async with connected(fleet, user, "edge-1") as alice:
        await publish(fleet, *(alert(user, number) for number in range(5)))
        await alice.until("risk_alert", 5)
        await fleet.kill("edge-1")
        await alice.until_closed()
    async with connected(fleet, user, "edge-2") as alice:
        assert len(await alice.until("risk_alert", 5)) == 5
    await fleet.until_ready("edge-1")
