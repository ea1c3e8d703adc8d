import asyncio
import json

import httpx
import pytest
from sqlalchemy import func, select, text

from tapewire.broker import Caller, Link, Publisher, Role
from tapewire.desk import outbox
from tapewire.desk.app import MIGRATIONS
from tapewire.desk.scribe import BATCH
from tapewire.desk.tables import EVENTS, OUTBOX
from tapewire.service.database import engine_from, migrate


@pytest.fixture
async def say(broker_url, rabbit):
    """Publish events as the services do, past the cable that desk hangs on."""
    link = Link(broker_url, Role.PUBLISH, name="services")
    await link.start()
    publisher = Publisher(link, deadline_s=60)

    async def publish(*events):
        await asyncio.gather(*(publisher.publish_event(event) for event in events))

    yield publish
    await link.close()


@pytest.fixture
async def store(settings):
    """The database that desk writes to."""
    engine = engine_from(settings, "desk")
    yield engine
    await engine.dispose()


def entered(store, count):
    async def are():
        async with store.connect() as connection:
            return await connection.scalar(select(func.count()).select_from(EVENTS)) == count

    return are


async def test_a_session_on_the_bus_is_a_session_over_http(desk, say, make, trader, until):
    client = trader()
    await say(make("session_started"), make("session_status"), make("algorithm_decision"))
    await say(make("position_update"), make("trade_executed"), make("risk_alert"))

    async def is_there():
        response = await client.get("/v1/sessions/s-1")
        return response.status_code == 200 and response.json()["counts"]["alerts"] == 1

    await until(is_there)
    one = (await client.get("/v1/sessions/s-1")).json()
    assert (one["userId"], one["status"], one["data"]["currentPnL"]) == ("alice", "active", -12.5)
    assert one["counts"] == {"decisions": 1, "trades": 1, "milestones": 0, "alerts": 1}
    assert one["lastDecisions"][0]["reasoning"] == "Because"
    assert one["lossLimit"] == 500
    assert (await client.get("/v1/sessions")).json() == {"sessions": [one]}
    assert (await client.get("/v1/sessions?open=true&last=0")).json()["sessions"][0][
        "lastTrades"
    ] == []


async def test_a_supervisor_sees_the_sessions_of_others_and_nobody_else_does(
    desk, say, make, trader, store, until
):
    await say(make("session_started"), make("session_started", sessionId="b/1", userId="bob"))
    await until(entered(store, 2))
    supervisor, stranger = trader("carol", supervises=["alice", "bob"]), trader("dave")
    seen = (await supervisor.get("/v1/sessions")).json()["sessions"]
    assert {one["sessionId"] for one in seen} == {"s-1", "b/1"}
    assert (await supervisor.get("/v1/sessions/b/1")).json()["userId"] == "bob"
    assert (await supervisor.get("/v1/sessions/b/1?user=alice")).status_code == 404
    assert (await stranger.get("/v1/sessions")).json() == {"sessions": []}
    assert (await stranger.get("/v1/sessions/s-1")).status_code == 404
    assert (await stranger.get("/v1/sessions?user=alice")).status_code == 403


async def test_nothing_is_shown_or_done_without_its_scope(desk, trader):
    other = trader(scopes=["md:read"])
    async with httpx.AsyncClient(base_url=desk, timeout=60) as nobody:
        for method, path in [
            ("GET", "/v1/sessions"),
            ("GET", "/v1/sessions/s-1"),
            ("GET", "/v1/notifications"),
            ("POST", "/v1/notifications/read-all"),
            ("POST", "/v1/notifications/x/read"),
            ("GET", "/v1/preferences"),
            ("PUT", "/v1/preferences"),
        ]:
            assert (await nobody.request(method, path, json={})).status_code == 401
            assert (await other.request(method, path, json={})).status_code == 403


async def test_a_read_mark_reaches_the_other_devices(desk, say, make, trader, rabbit, until, store):
    seen = await rabbit.tap("tw.events", "*.*.account.*")
    client = trader()
    await say(*(make("risk_alert", id=f"a/{n}") for n in range(3)))
    await until(entered(store, 3))
    page = (await client.get("/v1/notifications?limit=2")).json()
    assert page["unreadCount"] == 3
    assert page["items"][0]["message"]["alertType"] == "loss_limit"
    assert {item["level"] for item in page["items"]} == {"critical"}
    rest = (await client.get("/v1/notifications", params={"cursor": page["nextCursor"]})).json()
    assert (len(rest["items"]), rest["nextCursor"]) == (1, None)

    one = await client.post("/v1/notifications/a/1/read")
    assert one.json() == {"unreadCount": 2}
    assert (await client.post("/v1/notifications/none/read")).status_code == 404
    assert len((await client.get("/v1/notifications?unread=true")).json()["items"]) == 2
    assert (await client.post("/v1/notifications/read-all")).json() == {"unreadCount": 0}
    await until(lambda: len(seen) == 2)
    assert [delivery.routing_key for delivery in seen] == ["alice.-.account.notification_read"] * 2
    bodies = [json.loads(delivery.body) for delivery in seen]
    assert [(b["ids"], b.get("all"), b["unreadCount"]) for b in bodies] == [
        (["a/1"], None, 2),
        ([], True, 0),
    ]


async def test_a_cursor_that_is_none_is_refused(desk, trader):
    for cursor in ("x", "-1", "9" * 30):
        response = await trader().get("/v1/notifications", params={"cursor": cursor})
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "cursor")


async def test_preferences_are_kept_and_told(desk, trader, rabbit, until):
    seen = await rabbit.tap("tw.events", "*.*.account.*")
    client = trader()
    default = (await client.get("/v1/preferences")).json()
    assert default["emergency"] is True
    wanted = default | {
        "minimumLevels": default["minimumLevels"] | {"risk_alert": "critical"},
        "muted": ["algorithm_decision"],
        "quietHours": {
            "enabled": True,
            "start": "22:30:00",
            "end": "06:00:00",
            "timeZone": "Europe/London",
        },
        "marketDataRate": 2.0,
    }
    kept = wanted | {"version": 1}
    assert (await client.put("/v1/preferences", json=wanted)).json() == kept
    assert (await client.get("/v1/preferences")).json() == kept
    assert (await trader("bob").get("/v1/preferences")).json() == default
    await until(lambda: seen)
    assert seen[0].routing_key == "alice.-.account.preferences_changed"
    assert json.loads(seen[0].body)["preferences"] == kept


async def test_preferences_that_make_no_sense_are_refused_by_field(desk, trader):
    client = trader()
    for change, field in [
        ({"emergency": False}, "emergency"),
        ({"muted": ["risk_alert"]}, "muted.0"),
        ({"quietHours": {"timeZone": "Mars/Base"}}, "quietHours.timeZone"),
        ({"marketDataRate": 1000}, "marketDataRate"),
        ({"minimumLevels": {"risk_alert": "emergency"}}, "minimumLevels.risk_alert"),
        ({"colour": "red"}, "colour"),
    ]:
        response = await client.put("/v1/preferences", json=change)
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)


async def test_an_edge_is_answered_with_the_state_of_its_channels(
    desk, say, make, broker_url, store, until
):
    await say(make("session_status", status="paused"), make("session_started"))
    await say(make("session_status", sessionId="s-2"), make("trade_executed", sessionId="s-2"))
    await until(entered(store, 2))
    link = Link(broker_url, Role.PUBLISH, name="edge")
    await link.start()
    caller = Caller(link)

    async def ask(*channels, user="alice"):
        body = json.dumps({"userId": user, "channels": channels}).encode()
        answer = await caller.call("desk.snapshot", body, timeout_s=5)
        return [json.loads(line) for line in answer.splitlines()]

    async def both():
        return len(await ask("sessions:alice")) == 2

    await until(both)
    (one,) = await ask("session:s-2")
    assert (one["type"], one["sessionId"], one["snapshot"]) == ("session_status", "s-2", True)
    assert len(await ask("sessions:alice", "session:s-1", "market:SPY")) == 2
    assert await ask("session:s-2", user="bob") == []
    assert await ask() == []
    await link.close()


async def test_what_was_marked_while_the_broker_was_away_is_told_when_it_is_back(
    desk, say, make, trader, rabbit, cable, store, until
):
    seen = await rabbit.tap("tw.events", "*.*.account.*")
    client = trader()
    await say(make("risk_alert", id="a-1"))
    await until(entered(store, 1))
    cable.pull_out()
    assert (await client.post("/v1/notifications/a-1/read")).json() == {"unreadCount": 0}
    assert not seen
    cable.plug_in()
    await until(lambda: seen)

    async def is_empty():
        async with store.connect() as connection:
            return await connection.scalar(select(func.count()).select_from(OUTBOX)) == 0

    await until(is_empty)
    assert len(seen) == 1


async def test_what_a_killed_process_left_in_the_outbox_is_told_by_the_next(
    settings, store, make, start_desk, rabbit, until
):
    seen = await rabbit.tap("tw.events", "*.*.session.*")
    await migrate(store, MIGRATIONS)
    events = [make("session_started"), make("session_started")]
    async with store.begin() as connection:
        for event in events:
            await outbox.write(connection, event, now=event.timestamp)
    await start_desk()
    await until(lambda: len(seen) >= 2)
    assert [delivery.message_id for delivery in seen] == [event.id for event in events]


async def test_what_is_no_event_goes_to_the_dead_and_stops_nothing(
    desk, say, make, rabbit, store, until
):
    await rabbit.publish("tw.events", "alice.s-1.trade.executed", b"{oops")
    await say(make("trade_executed"))
    await until(entered(store, 1))

    async def is_dead():
        return await rabbit.depth("dead") == 1

    await until(is_dead)


async def test_an_event_that_the_database_refuses_is_set_aside_and_the_others_are_entered(
    desk, say, make, rabbit, store, until
):
    async with store.begin() as connection:
        await connection.execute(
            text(
                "CREATE TRIGGER refuse BEFORE INSERT ON events WHEN NEW.event_id = 'bad' "
                "BEGIN SELECT RAISE(ABORT, 'refused'); END"
            )
        )
    await say(*(make("trade_executed") for _ in range(BATCH)))
    await say(make("trade_executed", id="bad"), *(make("trade_executed") for _ in range(20)))
    await until(entered(store, BATCH + 20))

    async def is_dead():
        return await rabbit.depth("dead") == 1 and await rabbit.depth("desk.events") == 0

    await until(is_dead)


async def test_events_that_come_twice_or_over_broken_connections_count_once(
    desk, say, make, trader, cable, store, until
):
    events = [make("trade_executed") for _ in range(600)]
    for part in range(3):
        await say(*events[: (part + 1) * 200])
        cable.cut()
    await until(entered(store, 600))

    async def are_counted():
        return (await trader().get("/v1/sessions/s-1")).json()["counts"]["trades"] == 600

    await until(are_counted)


async def test_events_wait_while_the_database_is_away(
    postgres_url, settings, start_desk, say, make, until, rabbit
):
    on_postgres = settings.model_copy(update={"database_url": postgres_url})
    store = engine_from(on_postgres, "desk")
    await start_desk(on_postgres)
    await say(make("trade_executed"))
    await until(entered(store, 1))
    await say(*(make("trade_executed") for _ in range(300)))
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    for _ in range(5):
        async with store.connect() as connection:
            await connection.execute(text(f"{kill} AND datname = current_database()"))
    await until(entered(store, 301))
    assert await rabbit.depth("dead") == 0
    await store.dispose()


async def test_without_its_database_it_says_so_and_where_to_look(
    postgres_url, settings, start_desk, trader, until
):
    url = await start_desk(settings.model_copy(update={"database_url": postgres_url}))
    client = trader()
    client.base_url = url
    assert (await client.get("/v1/sessions")).status_code == 200
    elsewhere = settings.model_copy(
        update={"database_url": f"{postgres_url.rpartition('/')[0]}/postgres"}
    )
    engine = engine_from(elsewhere, "desk")
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(
            text(f"DROP DATABASE {postgres_url.rpartition('/')[2]} WITH (FORCE)")
        )
    await engine.dispose()
    for request in (client.get("/v1/sessions"), client.post("/v1/notifications/read-all")):
        response = await request
        assert (response.status_code, response.json()["code"]) == (503, "unavailable")
        assert int(response.headers["Retry-After"]) > 0

    async def is_known():
        answer = await client.get("/readyz")
        return answer.status_code == 503 and answer.json()["checks"]["database"] != "ok"

    await until(is_known)
