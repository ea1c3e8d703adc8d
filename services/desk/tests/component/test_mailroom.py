import asyncio
import json
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from tapewire.broker import Delivery, Link, Publisher, Role, Settlement, declare, topology
from tapewire.contracts import encode, escape, parse_event, route
from tapewire.desk.mailroom import ROUTING_KEY, Mailroom, UnknownRecipient, recipient


@pytest.fixture
async def risk(broker_url, rabbit):
    """Publishes alerts as the services do, past the cable that desk hangs on."""
    link = Link(broker_url, Role.PUBLISH, name="risk")
    await link.start()
    publisher = Publisher(link, deadline_s=60)

    async def alert(*events):
        for event in events:
            await publisher.publish_event(event)

    yield alert
    await link.close()


@pytest.fixture
async def link_to(broker_url, rabbit):
    """Make a mailroom whose handler the test calls itself."""
    links = [Link(broker_url, role, name="desk") for role in (Role.TOPOLOGY, Role.PUBLISH)]
    for link in links:
        await link.start()

    async def make_one(kind):
        return kind(links[0], Publisher(links[1]), queue_type="quorum")

    yield make_one
    for link in links:
        await link.close()


def delivery_of(event):
    return _delivery(route(event).routing_key, encode(event))


def ids(deliveries):
    return [delivery.message_id for delivery in deliveries]


async def test_the_alert_of_a_user_never_seen_is_put_into_a_new_inbox(
    desk, rabbit, risk, make, until
):
    event = make("risk_alert", id="a-1", userId="carol")
    await risk(event)
    await until(lambda: _has(rabbit, "inbox.carol", 1))
    (delivery,) = await _take(rabbit, "inbox.carol", 1, until)
    assert delivery.body == encode(event)
    assert (delivery.message_id, delivery.type) == ("a-1", "risk_alert")
    assert delivery.headers[ROUTING_KEY] == "carol.s-1.loss_limit.critical"
    assert await rabbit.depth("mailroom") == 0


async def test_what_comes_next_goes_straight_to_the_inbox(desk, rabbit, risk, make, until):
    await risk(make("risk_alert", id="a-0"))
    await until(lambda: _exists(rabbit, "inbox.alice"))
    arrived = await rabbit.consume("inbox.alice")
    for number in range(1, 100):
        await risk(make("risk_alert", id=f"a-{number}"))
        await until(lambda number=number: len(arrived) == number + 1)
        if ROUTING_KEY not in arrived[-1].headers:
            break
    assert arrived[-1].routing_key == "alice.s-1.loss_limit.critical"
    assert ids(arrived) == [f"a-{n}" for n in range(number + 1)]
    assert number < 10  # it was bound as soon as nothing else waited


async def test_the_opened_inbox_is_the_one_that_edges_open(desk, broker_url, rabbit, risk, make):
    await risk(make("risk_alert"))
    link = Link(broker_url, Role.TOPOLOGY, name="edge")
    await link.start()
    deadline = asyncio.get_running_loop().time() + 20
    while not await _has(rabbit, "inbox.alice", 1):
        assert asyncio.get_running_loop().time() < deadline
    await declare(link, [topology.inbox("alice")])  # 406 if the arguments differed
    await link.close()


async def test_notices_for_everyone_reach_an_inbox_that_the_mailroom_opened(
    desk, rabbit, risk, make, until
):
    await risk(make("risk_alert", id="a-1"))
    await until(lambda: _has(rabbit, "inbox.alice", 1))
    await risk(make("system_notification", id="n-1", userId="all", level="critical"))
    assert ids(await _take(rabbit, "inbox.alice", 2, until)) == ["a-1", "n-1"]


async def test_a_notice_for_everyone_before_the_first_user_stays_in_the_history(
    desk, rabbit, risk, make, until, trader
):
    await risk(make("system_notification", id="n-1", userId="all", level="critical"))
    await until(lambda: _has(rabbit, "mailroom", 0))

    async def is_in_the_history():
        found = (await trader("dave").get("/v1/notifications")).json()
        return [item["id"] for item in found["items"]] == ["n-1"]

    await until(is_in_the_history)
    assert await rabbit.depth("dead") == 0


async def test_an_inbox_that_an_operator_deletes_is_opened_again(desk, rabbit, risk, make, until):
    await risk(make("risk_alert", id="a-1"))
    await until(lambda: _has(rabbit, "inbox.alice", 1))
    await rabbit.delete("inbox.alice")  # with nobody on it, as docs/operations.md says
    await risk(make("risk_alert", id="a-2"))
    # RabbitMQ 3.10 closes the connection (541) of who consumes from an inbox that just comes back.
    await until(lambda: _has(rabbit, "inbox.alice", 1))
    assert ids(await _take(rabbit, "inbox.alice", 1, until)) == ["a-2"]


async def test_an_inbox_that_vanishes_before_it_is_bound_holds_nobody_up(
    link_to, rabbit, make, until
):
    """By hand, since no test could be quick enough to delete it in between."""
    mailroom = await link_to(Mailroom)
    for user in ("alice", "bob"):
        event = make("risk_alert", userId=user)
        await rabbit.publish("", "mailroom", b"something waits")  # so that nobody is bound
        assert await mailroom.handle(delivery_of(event)) is Settlement.ACK
    await rabbit.delete("inbox.alice")
    await rabbit.purge("mailroom")
    carol = make("risk_alert", userId="carol")
    assert await mailroom.handle(delivery_of(carol)) is Settlement.ACK
    for user, routed in (("alice", False), ("bob", True), ("carol", True)):
        await rabbit.publish("tw.inbox", f"{user}.s.loss_limit.critical", b"{}")
        assert await rabbit.depth("mailroom") == (0 if routed else 1)
        await rabbit.purge("mailroom")


async def test_who_waits_longest_is_bound_though_the_mailroom_never_empties(
    link_to, rabbit, make, monkeypatch
):
    monkeypatch.setattr("tapewire.desk.mailroom.NEVER_QUIET_S", 0.0)
    mailroom = await link_to(Mailroom)
    await rabbit.publish("", "mailroom", b"it never empties")
    await rabbit.publish("", "mailroom", b"it never empties")
    handled = ["alice", "bob", "carol", "bob"]
    for user in handled:
        await mailroom.handle(delivery_of(make("risk_alert", userId=user)))
    # Two stood behind alice's; two have been handled since. Bob's line has begun anew.
    assert list(mailroom.unbound) == ["carol", "bob"]


@pytest.mark.parametrize("user", ["a.b*#%/ü", "\N{ROCKET}" * 60], ids=["odd", "over-long"])
async def test_any_user_has_an_inbox(desk, rabbit, risk, make, until, user):
    await risk(make("risk_alert", id="a-1", userId=user))
    (delivery,) = await _take(rabbit, f"inbox.{escape(user)}", 1, until)
    assert parse_event(delivery.body).user_id == user


async def test_mail_that_waited_keeps_its_order_while_more_comes(
    rabbit, risk, make, until, start_desk
):
    """Desk was away; while it empties the mailroom, alerts go on for the same users."""
    users = ["alice", "bob", "carol"]
    count = 60

    def alerts(part):
        return [
            make("risk_alert", id=f"a-{n}", userId=user)
            for n in range(part * count, (part + 1) * count)
            for user in users
        ]

    await risk(*alerts(0))
    await start_desk()
    await risk(*alerts(1))
    for user in users:
        deliveries = await _take(rabbit, f"inbox.{user}", 2 * count, until)
        arrivals = [int(one[2:]) for one in dict.fromkeys(ids(deliveries))]
        assert arrivals == list(range(2 * count))


async def test_broken_connections_lose_nothing_and_keep_the_order(
    rabbit, risk, make, until, start_desk, cable
):
    count = 150
    await risk(*(make("risk_alert", id=f"a-{n}") for n in range(count)))
    await start_desk()
    for left in (120, 80, 40):
        await until(lambda left=left: _at_most(rabbit, "mailroom", left))
        cable.cut()
    await until(lambda: _has(rabbit, "mailroom", 0))
    await risk(make("risk_alert", id=f"a-{count}"))
    deliveries = await rabbit.consume("inbox.alice")
    await until(lambda: len(set(ids(deliveries))) == count + 1)
    arrivals = [int(one[2:]) for one in dict.fromkeys(ids(deliveries))]
    assert all(before < after for before, after in pairwise(arrivals))
    assert await rabbit.depth("dead") == 0


async def test_mail_for_nobody_that_can_be_told_goes_to_the_dead(desk, rabbit, until):
    await rabbit.publish("tw.unrouted", "/digest.s.loss_limit.critical", b'{"userId":"someone"}')
    await rabbit.publish("tw.unrouted", "é.s.loss_limit.critical", b"{}")
    await until(lambda: _has(rabbit, "dead", 2))
    assert await rabbit.depth("mailroom") == 0


@pytest.mark.parametrize("user", ["alice", "a.b", "-", "\N{ROCKET}" * 60])
def test_the_routing_key_or_the_body_says_whose_it_is(make, user):
    fields = json.loads(encode(make("risk_alert", userId="x")))
    fields["userId"] = user
    delivery = _delivery(f"{escape(user)}.s-1.loss_limit.critical", json.dumps(fields).encode())
    assert recipient(delivery) == user


@pytest.mark.parametrize("key", ["", "/x.s.k.d", "é.s.k.d", "a:2.s.k.d"])
def test_what_says_nothing_is_for_nobody(key):
    with pytest.raises(UnknownRecipient):
        recipient(_delivery(key, b"[]"))


def test_the_user_all_is_everyone_and_cannot_be_anybody_else(make):
    notice = make("system_notification", userId="all", level="critical")
    assert recipient(_delivery(route(notice).routing_key, encode(notice))) == "all"


def _delivery(routing_key, body):
    return Delivery(
        body=body,
        type="risk_alert",
        message_id="a-1",
        routing_key=routing_key,
        exchange="tw.unrouted",
        headers={},
        redelivered=False,
        timestamp=datetime(2026, 3, 2, tzinfo=UTC),
        reply_to=None,
        correlation_id=None,
        tag=1,
    )


async def _has(rabbit, queue, count):
    return await _exists(rabbit, queue) and await rabbit.depth(queue) == count


async def _at_most(rabbit, queue, count):
    return await rabbit.depth(queue) <= count


async def _exists(rabbit, queue):
    from aiormq.exceptions import ChannelNotFoundEntity

    try:
        await rabbit.depth(queue)
    except ChannelNotFoundEntity:
        return False
    return True


async def _take(rabbit, queue, count, until):
    await until(lambda: _exists(rabbit, queue))
    arrived = await rabbit.consume(queue)
    await until(lambda: len(arrived) >= count)
    assert len(arrived) == count
    return arrived
