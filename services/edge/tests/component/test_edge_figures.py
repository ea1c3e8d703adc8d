"""What an edge tells of critical alerts on `/metrics`, measured on real ones."""

import httpx


async def samples(edge) -> dict[str, float]:
    async with httpx.AsyncClient(timeout=60) as http:
        text = (await http.get(edge.http + "/metrics")).text
    lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith("tapewire_"))
    return {name: float(value) for name, _, value in lines}


OLDEST = "tapewire_edge_oldest_unacked_age_seconds"
SETTLED = 'tapewire_edge_settle_duration_seconds_count{class="critical"}'
REDELIVERED = 'tapewire_broker_redelivered_total{queue="inbox"}'


async def test_unacknowledged_redelivered_and_settled_alerts_are_counted(world):
    edge = await world.edge()
    before = await samples(edge)
    client = await world.client(edge)
    raised = await world.alert(1)
    await client.next("risk_alert")

    async def older_than(seconds: float) -> bool:
        return (await samples(edge))[OLDEST] > seconds

    await world.until_async(lambda: older_than(0.2))
    await client.socket.close()
    await world.consumers_gone("inbox.alice")
    assert (await samples(edge)).get(OLDEST, 0) == 0  # nobody looks: the broker has it
    again = await world.client(edge)
    await again.next("risk_alert")
    seen = await samples(edge)
    assert seen[REDELIVERED] - before.get(REDELIVERED, 0) == 1
    assert seen.get(SETTLED, 0) == before.get(SETTLED, 0)
    await again.ack(raised)
    await again.round_trip()
    seen = await samples(edge)
    assert seen[SETTLED] - before.get(SETTLED, 0) == 1
    assert seen.get(OLDEST, 0) == 0
