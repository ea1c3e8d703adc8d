import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tapewire.broker import Link, Role, declare, topology
from tapewire.contracts import PositionUpdate, SessionCompleted, TradeExecuted

DEADLINE_S = 30.0
BOTH = pytest.mark.parametrize(
    "database",
    ["sqlite", pytest.param("postgresql", marks=pytest.mark.containers)],
    indirect=True,
)


def levels(bus, kind: str) -> list[str]:
    return [body["alertLevel"] for body in bus.bodies(kind)]


def crossing(trader, losses: Iterable[float] = (100, 760, 770, 910, 920, 1010, 1020, 1500)):
    return [trader.starts(loss_limit=Decimal(1000)), *(trader.loses(loss) for loss in losses)]


@BOTH
async def test_loss_limit_is_told_once_a_level_and_the_stop_goes_out(bus, risk, trader):
    async with risk():
        await bus.say(*crossing(trader))
        await bus.until(lambda: len(bus.bodies("emergency_stop")) == 2)
    assert levels(bus, "loss_limit") == ["warning", "critical", "emergency"]
    (command,) = bus.bodies("command.emergency_stop")
    (notice,) = bus.bodies("emergency_stop.emergency")
    assert command == notice
    assert command["mode"] == "halt"
    assert command["requestedBy"] == "rule:loss_limit"
    assert all(body["ack"] for body in bus.bodies(".critical") + bus.bodies(".emergency"))
    first = bus.bodies("loss_limit")[0]
    assert (first["currentValue"], first["threshold"]) == (77.0, 75.0)
    assert first["message"] == "Loss of 770.00 is 77.0 % of the limit 1,000.00"


async def test_the_producers_utilization_counts_where_no_limit_is_known(bus, risk, trader):
    async with risk():
        await bus.say(trader.reports(80), trader.reports(93), trader.reports(100))
        await bus.until(lambda: len(bus.bodies("loss_limit")) == 3)
    assert levels(bus, "loss_limit") == ["warning", "critical", "emergency"]


async def test_a_default_limit_holds_for_sessions_that_bring_none(bus, risk, trader):
    async with risk(risk_loss_limit=Decimal(500)):
        await bus.say(trader.loses(400), trader.loses(400))
        await bus.until(lambda: len(bus.bodies("loss_limit")) == 1)
    assert bus.bodies("loss_limit")[0]["currentValue"] == 80.0


async def test_trades_and_positions_make_a_loss_where_no_status_tells_it(bus, risk, trader):
    fill = {"side": "sell", "quantity": 10, "price": Decimal(50), "order_id": "o-1"}
    async with risk():
        await bus.say(
            trader.starts(loss_limit=Decimal(1000)),
            TradeExecuted(**trader.stamp(), symbol="SPY", realized_pnl=Decimal(-500), **fill),
            PositionUpdate(
                **trader.stamp(), symbol="QQQ", quantity=5, unrealized_pnl=Decimal(-300)
            ),
            PositionUpdate(
                **trader.stamp(), symbol="QQQ", quantity=5, unrealized_pnl=Decimal(-310)
            ),
        )
        await bus.until(lambda: bool(bus.bodies("loss_limit")))
    assert bus.bodies("loss_limit")[0]["currentValue"] == 81.0


async def test_a_repeated_event_is_applied_once(bus, risk, trader):
    start, mark = trader.starts(loss_limit=Decimal(1000)), trader.loses(800)
    last = trader.loses(800)
    async with risk():
        await bus.say(start, mark, mark, mark, mark, last)
        await bus.until(lambda: bool(bus.bodies("loss_limit")))
    assert bus.bodies("loss_limit")[0]["timestamp"] == last.timestamp.isoformat().replace(
        "+00:00", "Z"
    )


async def test_age_of_a_session_is_told_by_the_clock_alone(bus, risk, trader):
    async with risk():
        trader.at = datetime.now(UTC) - timedelta(seconds=23)  # warned at 24 s, critical at 28.5 s
        await bus.say(trader.starts(time_limit_s=30))
        await bus.until(lambda: len(bus.bodies("time_limit")) == 3)
    assert levels(bus, "time_limit") == ["warning", "critical", "emergency"]
    assert bus.bodies("emergency_stop") == []  # not among the rules that stop, by default


async def test_a_completed_session_is_watched_no_more(bus, risk, trader):
    async with risk() as http:
        await bus.say(
            *crossing(trader, (800, 800)),
            SessionCompleted(**trader.stamp()),
            trader.starts(time_limit_s=1),
            SessionCompleted(**trader.stamp()),
        )
        other = type(trader)()
        await bus.say(*crossing(other, (800, 800)))
        await bus.until(lambda: len(bus.bodies("loss_limit")) == 2)
        assert http is not None
    assert bus.bodies("time_limit") == []


async def test_silence_of_a_watched_session_is_told_and_ends_with_a_mark(bus, risk, trader, token):
    async with risk(risk_stale_after_s=0.6) as http:
        await bus.say(*crossing(trader, (800, 800)))
        await bus.until(lambda: bool(bus.bodies("data_stale")))
        (alert,) = await open_alerts(http, token(trader.user, "session:read"))
        assert alert["state"] == "unknown"
        await bus.say(trader.loses(950))
        await bus.until(lambda: "critical" in levels(bus, "loss_limit"))
    assert levels(bus, "data_stale")[0] == "warning"


async def open_alerts(http, headers):
    answer = await http.get("/v1/alerts", headers=headers)
    assert answer.status_code == 200
    return answer.json()


async def test_sessions_are_judged_apart_over_all_shards(bus, risk, trader):
    traders = [type(trader)() for _ in range(12)]
    async with risk(risk_shards=4) as http:
        # A shard that is bound later takes sessions from the others, in the middle of their events.
        await soon(lambda: is_ready(http))
        await bus.say(*(event for t in traders for event in crossing(t)))
        await bus.until(lambda: len(bus.bodies("emergency_stop.emergency")) == 12)
    for one in traders:
        mine = [b for b in bus.bodies("loss_limit") if b["userId"] == one.user]
        assert [b["alertLevel"] for b in mine] == ["warning", "critical", "emergency"]


async def test_what_cannot_be_read_goes_to_the_dead_letters_and_stops_nothing(bus, risk, trader):
    async with risk():
        await bus.publisher.publish(
            topology.EVENTS, "u.s.session.status", b"{}", type="session_status", message_id="x"
        )
        await bus.say(*crossing(trader))
        await bus.until(lambda: len(bus.bodies("loss_limit")) == 3)


async def test_alerts_wait_for_a_broker_that_is_away(bus, risk, trader, cable, token):
    async with risk() as http:
        await bus.say(*crossing(trader, (100,)))
        cable.cut()
        await bus.say(*(trader.loses(x) for x in (800, 950, 1100)))
        await bus.until(lambda: len(bus.bodies("emergency_stop")) == 2)
        (alert,) = await open_alerts(http, token(trader.user, "session:read"))
        assert (alert["rule"], alert["state"]) == ("loss_limit", "emergency")
    assert levels(bus, "loss_limit") == ["warning", "critical", "emergency"]


async def test_an_inbox_that_takes_nothing_holds_up_nobody_else(bus, risk, trader, broker_url):
    full = topology.Queue(
        "test.full",
        {"x-queue-type": "classic", "x-max-length": 1, "x-overflow": "reject-publish"},
        (topology.Binding(topology.INBOX, f"{trader.user}.#"),),
    )
    link = Link(broker_url, Role.TOPOLOGY, name="test")
    await link.start()
    await declare(link, [full])
    other = type(trader)()
    async with risk():
        await bus.say(*crossing(trader), *crossing(other))
        await bus.until(
            lambda: (
                {b["userId"] for b in bus.bodies("command")} == {trader.user, other.user}
                and len(bus.bodies(f"{other.user}.")) == 5
            )
        )
        stuck = [b for b in bus.bodies("emergency_stop.emergency") if b["userId"] == trader.user]
        assert stuck == []  # behind the alerts that its inbox refuses
        channel = await link.channel()
        await channel.queue_delete(full.name)
        await bus.until(lambda: len(bus.bodies("emergency_stop.emergency")) == 2)
    await link.close()


async def figures(http) -> dict[str, float]:
    """The samples of `/metrics` that have no labels."""
    lines = (await http.get("/metrics")).text.splitlines()
    return {
        name: float(value)
        for name, _, value in (line.partition(" ") for line in lines)
        if name.startswith("tapewire_") and "{" not in name
    }


async def is_ready(http) -> bool:
    return (await http.get("/readyz")).is_success


async def soon(done) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await done():
            await asyncio.sleep(0.05)


async def test_what_cannot_be_published_shows_in_the_metrics_and_grows_older(
    bus, risk, trader, cable, token
):
    async with risk() as http:
        await bus.say(trader.starts())
        await soon(lambda: is_ready(http))  # knows which tokens were revoked
        cable.pull_out()
        answer = await http.post(
            f"/v1/sessions/{trader.session}/emergency-stop",
            headers=token(trader.user, "risk:stop") | {"Idempotency-Key": "k-1"},
            json={"reason": "enough"},
        )
        assert answer.is_success, answer.text
        seen: list[tuple[float, float]] = []

        async def older() -> bool:
            now = await figures(http)
            depth = now.get("tapewire_outbox_depth", 0)
            age = now.get("tapewire_outbox_oldest_age_seconds", 0)
            if age and (not seen or age > seen[-1][1]):
                seen.append((depth, age))
            return len(seen) >= 3

        await soon(older)
        assert {depth for depth, _ in seen} == {2}
        cable.plug_in()

        async def told() -> bool:
            now = await figures(http)
            return now["tapewire_outbox_depth"] == now["tapewire_outbox_oldest_age_seconds"] == 0

        await soon(told)
    assert len(bus.bodies("emergency_stop")) == 2
