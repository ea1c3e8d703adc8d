"""Critical alerts, from the broker to a client's ack and back."""


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
