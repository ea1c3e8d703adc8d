"""Users' preferences on a real edge; desk's part in the conversation is a responder's."""

import asyncio
import json
from datetime import UTC, datetime
from time import monotonic

import pytest

from tapewire.broker import Link, Role, responder, topology
from tapewire.contracts import (
    SYMBOLS_HEADER,
    Preferences,
    PreferencesChanged,
    bundle_key,
    bundle_shard,
    encode,
    new_id,
)
from tapewire.edge.live import wishes

CRITICAL_ONLY = {"risk_alert": "critical"}


async def subscribe(client, *channels):
    await client.send(type="subscribe", channels=list(channels))
    await client.next("subscribed")


async def quote(world, symbol="SPY", last=1.0):
    await world.publisher.publish(
        topology.MARKET,
        bundle_key(bundle_shard(symbol)),
        b'{"type":"market_data","id":"q","symbol":"%s","last":%.1f}' % (symbol.encode(), last),
        type="bundle",
        message_id="b",
        headers={SYMBOLS_HEADER: symbol},
        persistent=False,
    )


class Desk:
    """Keeps preferences, answers for them, tells their changes."""

    def __init__(self, world) -> None:
        self._world = world
        self.kept = {}
        self.asked = []

    def _event(self, user, **more):
        return PreferencesChanged(
            id=new_id(),
            timestamp=datetime.now(UTC),
            user_id=user,
            preferences=self.kept[user],
            **more,
        )

    async def answer(self, body):
        channels = json.loads(body)["channels"]
        users = [name[12:] for name in channels if name.startswith("preferences:")]
        self.asked.append(users)
        found = [self._event(user, snapshot=True) for user in users if user in self.kept]
        return b"\n".join(encode(event) for event in found)

    def keep(self, user, **wanted):
        version = self.kept[user].version + 1 if user in self.kept else 1
        self.kept[user] = Preferences.model_validate(wanted | {"version": version})

    async def change(self, user, **wanted):
        self.keep(user, **wanted)
        await self._world.publisher.publish_event(self._event(user))


@pytest.fixture
async def desk(world, monkeypatch):
    """Answers for desk; who is welcomed waits for it for as long as a loaded machine takes."""
    monkeypatch.setattr(wishes, "WAIT_S", 15.0)
    made = Desk(world)
    link = Link(world.amqp_url, Role.CONSUME, name="desk")
    await link.start()
    answering = responder(link, world.publisher, topology.DESK_SNAPSHOT, made.answer)
    await answering.start()
    await world.until(lambda: answering.health() is None)
    yield made
    await answering.stop()
    await link.close()


async def alerts(world, client, *numbers):
    """Raise warnings, and a notice behind them in the same tray; return which are shown."""
    for number in numbers:
        await world.alert(number, level="warning")
    notice = {"type": "system_notification", "userId": "alice", "title": "T", "message": "M"}
    last = await world.publish(**notice)
    seen = []
    while last not in seen:
        seen.append((await client.next("risk_alert", "system_notification"))["id"])
    return seen[:-1]


async def test_a_change_applies_at_once_to_every_connection_on_every_edge(world, desk):
    edges = [await world.edge(), await world.edge()]
    devices = [
        await world.client(edges[0]),
        await world.client(edges[0], query="?clientId=desk"),
        await world.client(edges[1], query="?clientId=phone"),
    ]
    bob = await world.client(edges[1], user="bob")
    await world.alert(0, level="warning")
    for device in devices:
        assert (await device.next("risk_alert"))["id"] == "warning-0"
    await desk.change("alice", minimumLevels=CRITICAL_ONLY)
    for device in devices:
        told = await device.next("preferences_changed")
        assert told["preferences"]["minimumLevels"]["risk_alert"] == "critical"
    await world.alert(1, level="warning")
    await world.alert(1, user="bob", level="warning")
    await world.alert(1)
    for device in devices:
        assert (await device.next("risk_alert"))["id"] == "critical-1"
    assert (await bob.next("risk_alert"))["id"] == "warning-1"
    await devices[0].ack("critical-1")
    for name in ("recent.alice", "recent.alice.desk", "recent.alice.phone"):
        await world.empty(name)
    await desk.change("alice")
    for device in devices:
        await device.next("preferences_changed")
    await world.alert(2, level="warning")
    for device in devices:
        assert (await device.next("risk_alert"))["id"] == "warning-2"


async def test_preferences_apply_from_the_first_message_and_settle_what_they_hide(world, desk):
    edge = await world.edge()
    first = await world.client(edge, query="?clientId=desk")
    await first.socket.close()
    await world.consumers_gone("recent.alice.desk")
    desk.keep("alice", minimumLevels=CRITICAL_ONLY)
    for number in range(5):
        await world.alert(number, level="warning")
    again = await world.client(await world.edge(), query="?clientId=desk")
    assert await alerts(world, again, 5) == []
    for _ in range(2):  # the first brings the edge's ping, the second follows our pong
        await again.round_trip()
    await again.socket.close()
    await world.consumers_gone("recent.alice.desk")
    assert await world.depth("recent.alice.desk") == 0


async def test_nameless_connections_miss_what_their_user_muted(world, desk):
    edge = await world.edge()
    desk.keep("alice", muted=["algorithm_decision"])
    client = await world.client(edge)
    await subscribe(client, "sessions:alice")
    await world.decision(1)
    await world.status(1)
    assert (await client.next())["id"] == "st-1"
    await desk.change("alice")
    await client.next("preferences_changed")
    await world.decision(2)
    assert (await client.next())["id"] == "d-2"


async def test_a_program_with_an_inbox_of_its_own_gets_everything(world, desk):
    edge = await world.edge()
    desk.keep("alice", minimumLevels=CRITICAL_ONLY, marketDataRate=0.2)
    bot = await world.client(edge, query="?clientId=bot&inbox=own")
    await subscribe(bot, "market:SPY")
    for number in range(3):
        await quote(world)
        await bot.next("market_data")
        assert await alerts(world, bot, number) == [f"warning-{number}"]


async def test_quotes_come_at_the_users_rate_and_the_newest_always_comes(world, desk):
    edge = await world.edge()
    desk.keep("alice", marketDataRate=2)
    slow, fast = await world.client(edge), await world.client(edge, user="bob")
    for client in (slow, fast):
        await subscribe(client, "market:SPY")
    began = monotonic()
    for number in range(20):
        await quote(world, last=number)
    for _ in range(20):
        await fast.next("market_data")
    shown = [await slow.next("market_data")]
    while shown[-1]["last"] < 19:  # the newest of those that were left out comes in its time
        shown.append(await slow.next("market_data"))
    assert len(shown) <= 2 + 2 * (monotonic() - began)
    assert len(shown) < 20
    await slow.quiet(0.7)
    await desk.change("alice")  # as many as there are
    await slow.next("preferences_changed")
    for _ in range(20):
        await quote(world)
    for _ in range(20):
        await slow.next("market_data")


async def test_without_desk_everything_is_delivered_and_preferences_apply_when_it_answers(world):
    edge = await world.edge()
    client = await world.client(edge)
    assert await alerts(world, client, 1) == ["warning-1"]
    desk = Desk(world)
    desk.keep("alice", minimumLevels=CRITICAL_ONLY)
    link = Link(world.amqp_url, Role.CONSUME, name="desk")
    await link.start()
    answering = responder(link, world.publisher, topology.DESK_SNAPSHOT, desk.answer)
    await answering.start()
    await world.until(lambda: bool(desk.asked))
    await asyncio.sleep(0.2)  # until the answer is here; nothing says so to a client
    assert await alerts(world, client, 2) == []
    await answering.stop()
    await link.close()


async def test_an_older_answer_does_not_undo_a_newer_change(world, desk):
    edge = await world.edge()
    client = await world.client(edge)
    desk.keep("alice", minimumLevels=CRITICAL_ONLY)
    older = desk._event("alice")
    await desk.change("alice")
    await client.next("preferences_changed")
    await world.publisher.publish_event(older)
    await client.next("preferences_changed")
    assert await alerts(world, client, 1) == ["warning-1"]


async def test_desk_is_asked_once_for_a_user_and_for_many_at_once(world, desk):
    edge = await world.edge(edge_snapshot_deadline_s=15)  # who is not answered asks again
    await asyncio.gather(*(world.client(edge, user=f"user-{n}") for n in range(20)))
    await asyncio.gather(*(world.client(edge, user=f"user-{n}") for n in range(20)))
    asked = [user for users in desk.asked for user in users]
    assert sorted(asked) == sorted(f"user-{n}" for n in range(20))
    assert len(desk.asked) < 20
