import asyncio
import json
from datetime import datetime
from itertools import pairwise

import httpx
import pytest

from tapewire.contracts import parse_event
from tapewire.ingest.examples import EXAMPLES

TRADE = EXAMPLES["trade_executed"]


def statuses(response):
    return [result["status"] for result in response.json()["results"]]


def numbered(count, start=0):
    return [TRADE | {"id": f"t-{n}"} for n in range(start, start + count)]


async def test_a_posted_event_reaches_the_bus_as_its_clients_will_see_it(producer, rabbit, until):
    seen = await rabbit.tap("tw.events")
    response = await producer().post("/v1/events", json=TRADE)
    assert response.status_code == 200
    (result,) = response.json()["results"]
    await until(lambda: seen)
    (delivery,) = seen
    assert (delivery.routing_key, delivery.type) == ("alice.s-17.trade.executed", "trade_executed")
    assert delivery.message_id == result["id"]
    event = parse_event(delivery.body)
    assert event.id == result["id"]
    body = json.loads(delivery.body)
    assert datetime.fromisoformat(body.pop("timestamp")) == event.timestamp
    assert body == TRADE | {"id": event.id}


async def test_every_example_is_taken(producer):
    response = await producer("events:write", "notices:write").post(
        "/v1/events", json=list(EXAMPLES.values())
    )
    assert (response.status_code, set(statuses(response))) == (200, {"accepted"})


async def test_a_batch_of_a_thousand_is_published_in_order(producer, rabbit, until):
    seen = await rabbit.tap("tw.events")
    response = await producer().post("/v1/events", json=numbered(1000))
    assert statuses(response) == ["accepted"] * 1000
    await until(lambda: len(seen) == 1000)
    assert [delivery.message_id for delivery in seen] == [f"t-{n}" for n in range(1000)]


async def test_users_whose_events_have_the_same_ids_do_not_disturb_each_others_order(
    producer, rabbit, until
):
    seen = await rabbit.tap("tw.events")
    alice = numbered(400)
    bob = [event | {"userId": "bob"} for event in alice[::3]]
    batch = [event for pair in zip(alice, bob, strict=False) for event in pair] + alice[len(bob) :]
    response = await producer().post("/v1/events", json=batch)
    assert set(statuses(response)) == {"accepted"}
    await until(lambda: len(seen) == len(batch))
    assert [(d.routing_key[0], d.message_id) for d in seen] == [
        (event["userId"][0], event["id"]) for event in batch
    ]


async def test_ndjson_is_taken_line_by_line(producer):
    lines = [json.dumps(TRADE), "{oops", json.dumps(TRADE | {"quantity": 0}), "", json.dumps(TRADE)]
    response = await producer().post(
        "/v1/events",
        content="\n".join(lines),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert response.status_code == 207
    assert statuses(response) == ["accepted", "rejected", "rejected", "accepted"]
    assert [result["index"] for result in response.json()["results"]] == [0, 1, 2, 3]
    assert response.json()["results"][2]["errors"] == [
        {"field": "quantity", "message": "Input should be greater than 0"}
    ]


async def test_what_curl_sends_without_being_told_a_type_is_taken(producer):
    response = await producer().post(
        "/v1/events",
        content=json.dumps(TRADE),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert response.status_code == 200


async def test_an_unfit_event_gets_422_and_its_fields(producer, rabbit):
    response = await producer().post("/v1/events", json=TRADE | {"id": "t-1", "price": -3})
    assert response.status_code == 422
    body = response.json()
    assert body["code"] == "invalid_event"
    assert body["errors"] == [{"field": "price", "message": "Input should be greater than 0"}]
    assert body["results"][0]["id"] == "t-1"
    assert await rabbit.depth("rejected") == 0  # the producer has just been told


async def test_a_repeated_id_is_taken_once(producer, rabbit, until):
    seen = await rabbit.tap("tw.events")
    client = producer()
    batch = await client.post("/v1/events", json=[*numbered(2), *numbered(2)])
    assert statuses(batch) == ["accepted", "accepted", "duplicate", "duplicate"]
    again = await asyncio.gather(*(client.post("/v1/events", json=numbered(1)) for _ in range(5)))
    assert {status for response in again for status in statuses(response)} == {"duplicate"}
    last = await client.post("/v1/events", json=numbered(1, start=99))
    assert statuses(last) == ["accepted"]
    await until(lambda: seen and seen[-1].message_id == "t-99")
    assert [delivery.message_id for delivery in seen] == ["t-0", "t-1", "t-99"]


async def test_the_same_id_of_another_user_is_another_event(producer):
    mine = TRADE | {"id": "t-1"}
    response = await producer().post("/v1/events", json=[mine, mine | {"userId": "bob"}])
    assert statuses(response) == ["accepted", "accepted"]


async def test_a_notice_to_everyone_needs_its_scope(producer, rabbit, until):
    notice = EXAMPLES["system_notification"]
    seen = await rabbit.tap("tw.alerts")
    refused = await producer().post("/v1/events", json=notice)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    taken = await producer("events:write", "notices:write").post("/v1/events", json=notice)
    assert taken.status_code == 200
    await until(lambda: seen)
    assert [delivery.routing_key for delivery in seen] == ["all.-.system_notification.warning"]


async def test_without_a_token_or_its_scope_nothing_is_taken(ingest, producer):
    async with httpx.AsyncClient(base_url=ingest, timeout=60) as nobody:
        assert (await nobody.post("/v1/events", json=TRADE)).status_code == 401
    refused = await producer("session:read").post("/v1/events", json=TRADE)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_too_much_at_once_is_refused_whole(producer, settings):
    client = producer()
    many = await client.post("/v1/events", json=numbered(1001))
    assert (many.status_code, many.json()["code"]) == (413, "too_many_events")
    large = await client.post("/v1/events", content=b" " * (settings.ingest_body_limit + 1))
    assert large.status_code == 413


async def test_what_is_not_json_is_refused_whole(producer):
    response = await producer().post("/v1/events", content=b'[{"type":')
    assert (response.status_code, response.json()["code"]) == (422, "invalid_body")
    assert "line 1" in response.json()["message"]


@pytest.mark.parametrize(
    "event",
    [
        TRADE | {"id": "t\u0000", "timestamp": "0001-01-01T00:00:00Z"},
        TRADE | {"timestamp": "9999-12-31T23:59:59Z"},
        TRADE | {"sessionId": "a.b*#%/ü" * 8},
    ],
)
async def test_no_event_is_so_odd_that_the_service_fails(event, producer):
    client = producer()
    response = await client.post("/v1/events", json=event)
    assert response.status_code in {200, 422}
    assert (await client.post("/v1/events", json=TRADE)).status_code == 200


async def test_a_critical_alert_for_a_user_never_seen_is_kept_in_the_mailroom(
    producer, rabbit, until
):
    response = await producer().post("/v1/events", json=EXAMPLES["risk_alert"])
    assert response.status_code == 200
    assert await rabbit.depth("mailroom") == 1


async def test_a_stop_order_reaches_executors_too(producer, rabbit, until):
    commands = await rabbit.tap("tw.events", "*.*.command.emergency_stop")
    alerts = await rabbit.tap("tw.alerts", "*.*.emergency_stop.emergency")
    await producer().post("/v1/events", json=EXAMPLES["emergency_stop"])
    await until(lambda: commands and alerts)
    assert commands[0].body == alerts[0].body


async def test_while_the_broker_is_away_producers_are_told_to_come_back(
    producer, cable, ingest, rabbit, until
):
    client = producer()
    cable.pull_out()

    async def is_known():
        return (await client.get("/readyz")).status_code == 503

    await until(is_known)
    response = await client.post("/v1/events", json=[TRADE | {"id": "t-1"}, {"type": "oops"}])
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert response.json()["code"] == "unavailable"
    assert statuses(response) == ["unconfirmed", "rejected"]
    assert response.json()["results"][0]["id"] == "t-1"

    cable.plug_in()
    await until(lambda: _taken(client))


async def test_a_broker_connection_that_is_dead_and_looks_alive_is_no_reason_to_hang(
    producer, cable, until
):
    client = producer()
    await until(lambda: _taken(client))
    cable.freeze()
    async with asyncio.timeout(30):
        response = await client.post("/v1/events", json=TRADE | {"id": "t-2"})
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert statuses(response) == ["unconfirmed"]
    cable.cut()

    async def is_taken():
        again = await client.post("/v1/events", json=TRADE | {"id": "t-2"})
        return again.status_code == 200 and statuses(again) == ["accepted"]

    await until(is_taken)


async def _taken(client):
    response = await client.post("/v1/events", json=TRADE | {"id": "t-1"})
    return response.status_code == 200 and statuses(response) == ["accepted"]


async def test_a_batch_cut_short_says_what_was_confirmed_and_a_repeat_completes_it(
    producer, cable, rabbit, until
):
    seen = await rabbit.tap("tw.events")
    client = producer()
    events = numbered(1000)
    posting = asyncio.create_task(client.post("/v1/events", json=events))
    await until(lambda: len(seen) >= 20)
    cable.cut()
    first = await posting
    confirmed = [
        result["id"] for result in first.json()["results"] if result["status"] == "accepted"
    ]
    if len(confirmed) < 1000:  # else the broker was quicker than the cut
        assert first.status_code == 503

    async def completed():
        response = await client.post("/v1/events", json=events)
        answers = {result["id"]: result["status"] for result in response.json()["results"]}
        if response.status_code == 200:
            assert all(answers[one] == "duplicate" for one in confirmed)
        return response.status_code == 200

    await until(completed)
    await until(lambda: len({delivery.message_id for delivery in seen}) == 1000)
    arrivals = list(dict.fromkeys(int(d.message_id[2:]) for d in seen))
    assert all(before < after for before, after in pairwise(arrivals))


async def test_every_event_type_stands_in_the_openapi_document(ingest):
    async with httpx.AsyncClient(base_url=ingest, timeout=60) as client:
        document = (await client.get("/openapi.json")).json()
    body = document["paths"]["/v1/events"]["post"]["requestBody"]["content"]["application/json"]
    assert set(EXAMPLES) <= set(body["examples"])
    schemas = document["components"]["schemas"]
    for one in body["schema"]["anyOf"][0]["oneOf"]:
        model = schemas[one["$ref"].rpartition("/")[2]]
        assert "id" not in model["required"]
    assert "Retry-After" in document["paths"]["/v1/events"]["post"]["responses"]["503"]["headers"]
