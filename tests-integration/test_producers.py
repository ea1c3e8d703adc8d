"""Programs in any language are producers: AMQP or HTTP, and nothing of ours."""

import asyncio
import json
import uuid
from contextlib import contextmanager

import pika
import pytest
from plain import DEADLINE_S, Message, connected, decision, ids, post, publish

REPLY_TO = "amq.rabbitmq.reply-to"


@contextmanager
def producer(fleet, user="producer"):
    connection = pika.BlockingConnection(pika.URLParameters(fleet.amqp_url(user)))
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel
    finally:
        connection.close()


def publish_and_hear(fleet, *bodies: str) -> list[Message]:
    """Publish bodies over plain AMQP; return what ingest answers to each, in order."""
    with producer(fleet) as channel:
        answers: dict[str, Message] = {}

        def hear(_channel, _method, properties, body):
            answers[properties.correlation_id] = json.loads(body)

        channel.basic_consume(REPLY_TO, hear, auto_ack=True)
        keys = [str(uuid.uuid4()) for _ in bodies]
        for key, body in zip(keys, bodies, strict=True):
            properties = pika.BasicProperties(
                reply_to=REPLY_TO, correlation_id=key, delivery_mode=2
            )
            channel.basic_publish("tw.ingest", "anything", body, properties)
        for _ in range(int(DEADLINE_S / 0.1)):
            if len(answers) == len(bodies):
                break
            channel.connection.process_data_events(time_limit=0.1)
        return [answers[key] for key in keys]


async def test_an_event_over_plain_amqp_reaches_a_client(fleet, user):
    async with connected(fleet, user) as alice:
        await alice.subscribe(f"sessions:{user}")
        event = decision(user, 1)
        answers = await asyncio.to_thread(publish_and_hear, fleet, json.dumps(event))
        assert answers == [{"status": "accepted", "id": event["id"], "errors": []}]
        (heard,) = await alice.until("algorithm_decision")
        assert heard.items() >= event.items()


async def test_an_event_over_http_reaches_a_client(fleet, user):
    async with connected(fleet, user) as alice:
        await alice.subscribe(f"sessions:{user}")
        await publish(fleet, decision(user, 1))
        (heard,) = await alice.until("algorithm_decision")
        assert heard.items() >= decision(user, 1).items()


async def test_an_id_that_is_left_out_is_made_and_a_repeated_one_is_taken_once(fleet, user):
    nameless = decision(user, 0)
    del nameless["id"]
    (made,) = await post(fleet, json.dumps([nameless]))
    assert made["status"] == "accepted"
    assert made["id"]
    event = decision(user, 1)
    async with connected(fleet, user) as alice:
        await alice.subscribe(f"sessions:{user}")
        (first,) = await asyncio.to_thread(publish_and_hear, fleet, json.dumps(event))
        (again,) = await asyncio.to_thread(publish_and_hear, fleet, json.dumps(event))
        (elsewhere,) = await post(fleet, json.dumps([event]))
        statuses = [answer["status"] for answer in (first, again, elsewhere)]
        assert statuses == ["accepted", "duplicate", "duplicate"]
        await publish(fleet, decision(user, 2))
        heard = await alice.until("algorithm_decision", 2)
        assert ids(heard) == [event["id"], f"{user}-decision-2"]


@pytest.mark.parametrize(
    ("spoiled", "field"),
    [({"confidence": 7}, "confidence"), ({"decision": "gamble"}, "decision"), ({"x": 1}, "x")],
)
async def test_a_malformed_event_names_its_field_and_stops_nothing(fleet, user, spoiled, field):
    bad = decision(user, 1, **spoiled)
    good = decision(user, 2)
    async with connected(fleet, user) as alice:
        await alice.subscribe(f"sessions:{user}")
        over_amqp = await asyncio.to_thread(
            publish_and_hear, fleet, json.dumps(bad), "{not json", json.dumps(good)
        )
        over_http = await post(fleet, json.dumps([bad, decision(user, 3)]))
        assert [answer["status"] for answer in over_amqp] == ["rejected", "rejected", "accepted"]
        assert [answer["status"] for answer in over_http] == ["rejected", "accepted"]
        for refused in (over_amqp[0], over_http[0]):
            assert [error["field"] for error in refused["errors"]] == [field]
        heard = await alice.until("algorithm_decision", 2)
        assert ids(heard) == [good["id"], f"{user}-decision-3"]


async def test_a_producer_cannot_write_past_the_front_door(fleet, user):
    def attempt():
        with producer(fleet) as channel:
            channel.basic_publish("tw.alerts", f"{user}.-.loss_limit.critical", b"{}")

    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
        await asyncio.to_thread(attempt)


async def test_a_notice_for_everyone_reaches_users_on_every_edge(fleet, user):
    notice = {
        "type": "system_notification",
        "id": f"{user}-notice",
        "userId": "all",
        "level": "critical",
        "title": "Maintenance",
        "message": "The desk closes at 22:00 UTC",
    }
    async with (
        connected(fleet, user, "edge-1") as one,
        connected(fleet, f"{user}-b", "edge-2") as two,
    ):
        await publish(fleet, notice)
        for client in (one, two):
            (heard,) = await client.until("system_notification")
            assert heard["id"] == notice["id"]
            await client.ack(heard)
            await client.fence()
