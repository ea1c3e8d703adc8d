"""A user on two edges: both devices show every alert, an ack on either clears both."""

import asyncio

from plain import alert, connected, decision, ids, publish


async def test_both_connections_get_each_alert_once_in_order_also_a_late_one(fleet, user):
    alerts = [alert(user, number) for number in range(20)]
    async with (
        connected(fleet, user, "edge-1") as one,
        connected(fleet, user, "edge-2") as two,
    ):
        await publish(fleet, *alerts[:10])
        await asyncio.gather(one.until("risk_alert", 10), two.until("risk_alert", 10))
        publishing = asyncio.create_task(publish(fleet, *alerts[10:]))
        async with (
            connected(fleet, user, "edge-1") as late_one,
            connected(fleet, user, "edge-2") as late_two,
        ):
            await publishing
            for client in (one, two, late_one, late_two):
                assert ids(await client.until("risk_alert", 20)) == ids(alerts)
                await client.fence()
                assert ids(client.all("risk_alert")) == ids(alerts)


async def test_an_ack_on_either_edge_settles_the_alert_and_clears_the_other(fleet, user):
    alerts = [alert(user, number) for number in range(2)]
    async with (
        connected(fleet, user, "edge-1") as one,
        connected(fleet, user, "edge-2") as two,
    ):
        await publish(fleet, *alerts)
        await asyncio.gather(one.until("risk_alert", 2), two.until("risk_alert", 2))
        await one.ack(alerts[0])
        assert (await two.until("acked"))[0]["ids"] == [alerts[0]["id"]]
        await two.ack(alerts[1])
        assert (await one.until("acked"))[0]["ids"] == [alerts[1]["id"]]
        await asyncio.gather(one.fence(), two.fence())
    async with connected(fleet, user, "edge-2") as later:
        assert later.heard[0]["recovered"]["critical"] == 0


async def test_the_other_edge_goes_on_in_order_when_the_holders_is_killed(fleet, user):
    alerts = [alert(user, number) for number in range(30)]
    async with connected(fleet, user, "edge-1") as one:  # first to come, so edge-1 holds the inbox
        await publish(fleet, *alerts[:10])
        await one.until("risk_alert", 10)
        async with connected(fleet, user, "edge-2") as two:
            await two.until("risk_alert", 10)
            publishing = asyncio.create_task(publish(fleet, *alerts[10:20]))
            await fleet.kill("edge-1")
            await publishing
            await publish(fleet, *alerts[20:])
            await two.until("risk_alert", 30)
            assert ids(two.all("risk_alert")) == ids(alerts)
            await two.ack(*alerts)
            await two.fence()
    await fleet.until_ready("edge-1")
    async with connected(fleet, user, "edge-1") as later:
        assert later.heard[0]["recovered"]["critical"] == 0


async def test_a_restart_of_every_edge_in_turn_loses_nothing(fleet, user):
    alerts = [alert(user, number) for number in range(20)]
    decisions = [decision(user, number) for number in range(20)]
    async with connected(fleet, user, clientId="laptop") as laptop:
        await laptop.subscribe(f"sessions:{user}")
    for edge, half in (("edge-1", slice(0, 10)), ("edge-2", slice(10, 20))):
        restarting = asyncio.create_task(fleet.restart(edge))
        await publish(fleet, *alerts[half], *decisions[half])
        await restarting
    async with connected(fleet, user, clientId="laptop", resume="true") as laptop:
        assert ids(await laptop.until("risk_alert", 20)) == ids(alerts)
        assert ids(await laptop.until("algorithm_decision", 20)) == ids(decisions)


async def test_a_connection_under_a_drain_is_told_to_come_back(fleet, user):
    async with connected(fleet, user, "edge-1") as one:
        stopping = asyncio.create_task(fleet.stop("edge-1"))
        try:
            assert await one.until_closed() == 4000
        finally:
            await stopping
            await fleet.start("edge-1")
