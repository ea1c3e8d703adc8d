"""A crowd on one edge, and the broker goes away: all are attached again, a few at a time."""

import asyncio

import pytest

from tapewire.fleet.cable import Cable

CROWD = 300
AT_ONCE = 8


class Gauge:
    """How many loans of an edge's channels for questions there are, and were at most."""

    def __init__(self, admin, monkeypatch) -> None:
        self.now = self.most = 0
        lend = admin.tap

        class Counted:
            def __init__(loan) -> None:
                loan.context = lend()

            async def __aenter__(loan):
                tap = await loan.context.__aenter__()
                self.now += 1
                self.most = max(self.most, self.now)
                return tap

            async def __aexit__(loan, *error):
                self.now -= 1
                return await loan.context.__aexit__(*error)

        monkeypatch.setattr(admin, "tap", Counted)


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_a_crowd_is_attached_again_after_the_broker_was_away_and_nobody_is_dropped(
    world, monkeypatch
):
    cable = Cable(world.amqp_url)
    there, world.amqp_url = world.amqp_url, await cable.start()
    edge = await world.edge(edge_attach_concurrency=2 * AT_ONCE)
    world.amqp_url = there
    users = [f"user-{n}" for n in range(CROWD)]
    clients = []
    for lot in range(0, CROWD, 20):
        clients += await asyncio.gather(*(world.client(edge, u) for u in users[lot : lot + 20]))
    states = edge.app.state.mailboxes.states
    await world.until(lambda: states()["open"] == 2 * CROWD, timeout_s=120)
    gauges = [Gauge(admin, monkeypatch) for admin in edge.app.state.lines._admins.values()]
    cable.pull_out()
    await world.until(lambda: states()["open"] == 0, timeout_s=60)
    raised = await asyncio.gather(*(world.alert(user, user) for user in users))
    cable.plug_in()
    told = await asyncio.gather(*(one.next("risk_alert", timeout_s=240) for one in clients))
    assert [one["id"] for one in told] == raised
    await world.until(lambda: states()["open"] == 2 * CROWD, timeout_s=120)
    assert [one.socket.close_code for one in clients] == [None] * CROWD
    assert all(0 < gauge.most <= AT_ONCE for gauge in gauges)
    await cable.stop()
