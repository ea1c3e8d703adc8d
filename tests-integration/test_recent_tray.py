"""What is recent waits for a user who is away: the newest hundred, and the truth about the rest."""

import asyncio

from plain import alert, connected, decision, ids, publish

from tapewire.client import WebSocketClient


async def test_of_150_warnings_while_away_the_newest_100_come_and_a_gap_is_told(fleet, user):
    async with connected(fleet, user, clientId="laptop"):
        pass
    warnings = [alert(user, number, "warning") for number in range(150)]
    await publish(fleet, *warnings)
    async with connected(fleet, user, "edge-2", clientId="laptop", resume="true") as alice:
        assert alice.heard[0]["recovered"]["gap"] is True
        assert ids(await alice.until("risk_alert", 100)) == ids(warnings[50:])
        await alice.fence()
        assert len(alice.all("risk_alert")) == 100


async def test_of_100_warnings_while_away_all_come_and_no_gap_is_told(fleet, user):
    async with connected(fleet, user, clientId="laptop"):
        pass
    warnings = [alert(user, number, "warning") for number in range(100)]
    await publish(fleet, *warnings)
    async with connected(fleet, user, "edge-2", clientId="laptop", resume="true") as alice:
        assert alice.heard[0]["recovered"]["gap"] is False
        assert ids(await alice.until("risk_alert", 100)) == ids(warnings)


async def test_a_named_device_gets_decisions_it_missed_while_another_was_online(fleet, user):
    channel = f"sessions:{user}"
    async with connected(fleet, user, clientId="phone") as phone:
        assert channel in (await phone.subscribe(channel))["channels"]
    async with connected(fleet, user, "edge-2", clientId="laptop") as laptop:
        await laptop.subscribe(channel)
        decisions = [decision(user, number) for number in range(7)]
        await publish(fleet, *decisions)
        assert ids(await laptop.until("algorithm_decision", 7)) == ids(decisions)
    async with connected(fleet, user, clientId="phone", resume="true") as phone:
        assert channel in phone.heard[0]["channels"]
        assert ids(await phone.until("algorithm_decision", 7)) == ids(decisions)
        await phone.fence()
        assert phone.heard[0]["recovered"] == {"critical": 0, "recent": 7, "gap": False}


async def test_a_device_that_resumes_without_a_tray_is_told_of_a_gap(fleet, user):
    async with connected(fleet, user, clientId="expired", resume="true") as alice:
        assert alice.heard[0]["recovered"]["gap"] is True


async def test_the_sdk_tells_its_program_of_a_gap_before_what_is_left(fleet, user, tmp_path):
    heard = []
    full = asyncio.Event()

    def hear(what):
        heard.append(what)
        if len(heard) == 101:
            full.set()

    def program():
        client = WebSocketClient(
            fleet.url("edge-1"), lambda: fleet.token(user), store=tmp_path / "seen"
        )
        client.on_gap(lambda recovered: hear(recovered.gap))
        client.on_message("risk_alert", lambda message: hear(message["id"]))
        return client

    async with asyncio.timeout(30):
        async with program():
            pass
        warnings = [alert(user, number, "warning") for number in range(101)]
        await publish(fleet, *warnings)
        async with program():
            await full.wait()
    assert heard == [True, *ids(warnings[1:])]
