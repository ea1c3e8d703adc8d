import asyncio
import json
import threading
from itertools import pairwise

import pika
import pytest

from tapewire.contracts import MAX_EVENT_BYTES
from tapewire.ingest.examples import EXAMPLES

TRADE = EXAMPLES["trade_executed"]


def as_json(event):
    return json.dumps(event).encode()


class PlainProducer:
    """A producer with pika and nothing of ours: it blocks, so it runs in a thread."""

    def __init__(self, url):
        self._url = url

    async def send(self, *bodies, routing_key="", **properties):
        await asyncio.to_thread(self._send, bodies, routing_key, properties)

    def _send(self, bodies, routing_key, properties):
        connection = pika.BlockingConnection(pika.URLParameters(self._url))
        channel = connection.channel()
        channel.confirm_delivery()
        given = pika.BasicProperties(**properties) if properties else None
        for body in bodies:
            channel.basic_publish("tw.ingest", routing_key, body, given)
        connection.close()

    async def ask(self, *bodies, reply_to="amq.rabbitmq.reply-to"):
        """Send, and return the answers: (correlation id, result)."""
        return await asyncio.to_thread(self._ask, bodies, reply_to)

    def _ask(self, bodies, reply_to):
        connection = pika.BlockingConnection(pika.URLParameters(self._url))
        channel = connection.channel()
        if reply_to is None:
            reply_to = channel.queue_declare("", exclusive=True).method.queue
        answers = []
        full = threading.Event()

        def on_answer(_channel, _method, properties, body):
            answers.append((properties.correlation_id, json.loads(body)))
            if len(answers) == len(bodies):
                full.set()

        channel.basic_consume(reply_to, on_answer, auto_ack=True)
        for number, body in enumerate(bodies):
            properties = pika.BasicProperties(reply_to=reply_to, correlation_id=str(number))
            channel.basic_publish("tw.ingest", "", body, properties)
        for _ in range(200):
            connection.process_data_events(time_limit=0.1)
            if full.is_set():
                break
        connection.close()
        return answers


@pytest.fixture
def plain(ingest, broker_url):
    return PlainProducer(broker_url)


async def test_json_alone_makes_a_producer(plain, rabbit, until):
    seen = await rabbit.tap("tw.events")
    await plain.send(as_json(TRADE))
    await until(lambda: seen)
    (delivery,) = seen
    assert delivery.routing_key == "alice.s-17.trade.executed"
    body = json.loads(delivery.body)
    assert body["id"] == delivery.message_id
    assert body["timestamp"].endswith("Z")
    assert {key: body[key] for key in TRADE} == TRADE


async def test_any_routing_key_will_do(plain, rabbit, until):
    seen = await rabbit.tap("tw.events")
    await plain.send(as_json(TRADE), routing_key="whatever.it.is")
    await until(lambda: seen)


async def test_the_id_in_the_envelope_is_the_events_when_it_has_none(plain, rabbit, until):
    seen = await rabbit.tap("tw.events")
    await plain.send(as_json(TRADE), as_json(TRADE), message_id="m-1")
    await plain.send(as_json(TRADE | {"id": "t-1"}), message_id="m-1")
    await until(lambda: len(seen) == 2)
    assert [json.loads(delivery.body)["id"] for delivery in seen] == ["m-1", "t-1"]


@pytest.mark.parametrize("reply_to", ["amq.rabbitmq.reply-to", None], ids=["direct", "own queue"])
async def test_who_gives_a_reply_address_is_told_what_became_of_each(plain, reply_to):
    first = as_json(TRADE | {"id": "t-1"})
    answers = await plain.ask(
        first, first, as_json(TRADE | {"id": "t-2", "price": 0}), reply_to=reply_to
    )
    assert sorted(answers, key=lambda answer: answer[0]) == [
        ("0", {"status": "accepted", "id": "t-1", "errors": []}),
        ("1", {"status": "duplicate", "id": "t-1", "errors": []}),
        (
            "2",
            {
                "status": "rejected",
                "id": "t-2",
                "errors": [{"field": "price", "message": "Input should be greater than 0"}],
            },
        ),
    ]


async def test_an_answer_goes_into_no_queue_of_the_fleet(plain, rabbit, until):
    seen = await rabbit.tap("tw.events")
    await plain.send(as_json(TRADE), reply_to="desk.events", correlation_id="1")
    await plain.send(as_json(TRADE), reply_to="mailroom", correlation_id="1")
    await until(lambda: len(seen) == 2)
    assert await rabbit.depth("mailroom") == 0
    assert await rabbit.depth("desk.events") == 2  # the events; no answers


@pytest.mark.parametrize("reply_to", ["amq.gen-gone", "reply.gone", "amq.rabbitmq.reply-to.x.y"])
async def test_a_producer_that_has_gone_keeps_nobody_waiting(plain, rabbit, until, reply_to):
    seen = await rabbit.tap("tw.events")
    await plain.send(as_json(TRADE), reply_to=reply_to)
    await plain.send(as_json(TRADE | {"id": "next"}))
    await until(lambda: len(seen) == 2)
    assert await rabbit.depth("ingest.inbox") == 0


async def test_a_malformed_event_is_set_aside_with_its_reason_and_stops_nothing(
    plain, rabbit, until
):
    seen = await rabbit.tap("tw.events")
    aside = await rabbit.consume("rejected")
    bad = as_json(TRADE | {"quantity": -1, "colour": "red"})
    await plain.send(b"{oops", bad, as_json(TRADE), routing_key="from.strategy-1")
    await until(lambda: seen and len(aside) == 2)
    not_json, unfit = aside
    assert not_json.body == b"{oops"
    assert json.loads(not_json.headers["x-errors"])[0]["field"] == ""
    assert unfit.body == bad
    assert unfit.routing_key == "from.strategy-1"
    assert unfit.headers["x-reason"] == "invalid_event"
    assert json.loads(unfit.headers["x-errors"]) == [
        {"field": "quantity", "message": "Input should be greater than 0"},
        {"field": "colour", "message": "Extra inputs are not permitted"},
    ]
    assert len(seen) == 1


async def test_the_largest_nonsense_still_fits_into_the_rejected_queue(plain, rabbit, until):
    aside = await rabbit.consume("rejected")
    await plain.send(as_json(TRADE | {f"{n}{'x' * 100}": n for n in range(500)}))
    await plain.send(b"x" * (3 * MAX_EVENT_BYTES))
    await until(lambda: len(aside) == 2)
    assert json.loads(aside[0].headers["x-errors"])[-1]["message"].endswith("more")
    assert aside[1].headers["x-reason"] == "too_large"
    assert aside[1].headers["x-size"] == 3 * MAX_EVENT_BYTES
    assert len(aside[1].body) == MAX_EVENT_BYTES


async def test_a_producers_trace_goes_on_with_its_event(plain, rabbit, until):
    seen = await rabbit.tap("tw.events")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    await plain.send(as_json(TRADE), headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    await until(lambda: seen)
    assert trace in seen[0].headers["traceparent"]


async def test_events_are_published_in_the_order_in_which_they_came(plain, rabbit, until):
    seen = await rabbit.tap("tw.events")
    await plain.send(*(as_json(TRADE | {"id": f"t-{n}"}) for n in range(600)))
    await until(lambda: len(seen) == 600)
    assert [delivery.message_id for delivery in seen] == [f"t-{n}" for n in range(600)]


async def test_broken_connections_lose_nothing_and_keep_the_order(plain, rabbit, cable, until):
    seen = await rabbit.tap("tw.events")
    count = 1500
    sending = asyncio.create_task(
        plain.send(*(as_json(TRADE | {"id": f"t-{n}"}) for n in range(count)))
    )
    for share in (0.2, 0.5, 0.8):
        await until(lambda share=share: len(seen) > share * count)
        cable.cut()
    await sending
    await until(lambda: len({delivery.message_id for delivery in seen}) == count)
    arrivals = [int(d) for d in dict.fromkeys(delivery.message_id[2:] for delivery in seen)]
    assert all(before < after for before, after in pairwise(arrivals))
    await until(lambda: _empty(rabbit))


async def _empty(rabbit):
    return await rabbit.depth("ingest.inbox") == 0


async def test_events_wait_while_ingest_cannot_reach_the_broker(plain, rabbit, cable, until):
    seen = await rabbit.tap("tw.events")
    cable.pull_out()
    await plain.send(as_json(TRADE | {"id": "t-1"}))
    assert not seen
    cable.plug_in()
    await until(lambda: seen)
    assert seen[0].message_id == "t-1"
