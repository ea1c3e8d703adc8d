import asyncio
from decimal import Decimal

import pytest

from tapewire.contracts import EmergencyStopAcknowledged, EmergencyStopRequested

BOTH = pytest.mark.parametrize(
    "database",
    ["sqlite", pytest.param("postgresql", marks=pytest.mark.containers)],
    indirect=True,
)


async def stops(http, headers, session):
    answer = await http.get("/v1/stops", headers=headers, params={"sessionId": session})
    assert answer.status_code == 200
    return answer.json()


async def until_state(bus, http, headers, session, *states):
    """Wait for the session's stops to be in ``states``, newest first."""
    async with asyncio.timeout(20):
        while (found := [s["state"] for s in await stops(http, headers, session)]) != list(states):
            await asyncio.sleep(0.02)
    return found


async def lose_it_all(bus, trader):
    await bus.say(trader.starts(loss_limit=Decimal(100)), trader.loses(120), trader.loses(120))


async def test_shadow_records_the_stop_and_tells_nobody(bus, risk, trader, token):
    async with risk(risk_stop_mode="shadow") as http:
        await lose_it_all(bus, trader)
        await bus.until(lambda: bool(bus.bodies("loss_limit")))
        (stop,) = await stops(http, token(trader.user, "session:read"), trader.session)
    assert (stop["state"], stop["mode"], stop["requestedBy"]) == (
        "shadow",
        "halt",
        "rule:loss_limit",
    )
    assert bus.bodies("emergency_stop") == []


async def test_off_records_nothing(bus, risk, trader, token):
    async with risk(risk_stop_mode="off") as http:
        await lose_it_all(bus, trader)
        await bus.until(lambda: bool(bus.bodies("loss_limit")))
        assert await stops(http, token(trader.user, "session:read"), trader.session) == []


async def test_silence_of_executors_is_an_emergency_and_late_word_is_taken(
    bus, risk, trader, token
):
    async with risk(risk_stop_ack_deadline_s=0.3) as http:
        headers = token(trader.user, "session:read")
        await lose_it_all(bus, trader)
        await bus.until(lambda: bool(bus.bodies("stop_unconfirmed")))
        await until_state(bus, http, headers, trader.session, "timed_out")
        (alert,) = bus.bodies("stop_unconfirmed")
        assert (alert["alertLevel"], alert["threshold"], alert["ack"]) == ("emergency", 0.3, True)
        stop_id = bus.bodies("command.emergency_stop")[0]["stopId"]
        late = EmergencyStopAcknowledged(
            **trader.stamp(), stop_id=stop_id, state="partial", executor="exec-1"
        )
        await bus.say(late)
        await until_state(bus, http, headers, trader.session, "partial")


async def test_an_executor_that_was_silent_over_a_restart_is_told_of_once(bus, risk, trader, token):
    headers = token(trader.user, "session:read")
    async with risk(risk_stop_ack_deadline_s=600) as http:
        await lose_it_all(bus, trader)
        await until_state(bus, http, headers, trader.session, "dispatched")
    for _ in range(2):
        async with risk(risk_stop_ack_deadline_s=0.1) as http:
            await until_state(bus, http, headers, trader.session, "timed_out")
            await bus.until(lambda: bool(bus.bodies("stop_unconfirmed")))
    assert len(bus.bodies("stop_unconfirmed")) == 1


async def test_an_executors_word_settles_the_stop(bus, risk, trader, token):
    async with risk(risk_stop_ack_deadline_s=1.0) as http:
        headers = token(trader.user, "session:read")
        await lose_it_all(bus, trader)
        await bus.until(lambda: bool(bus.bodies("command.emergency_stop")))
        await bus.say(EmergencyStopAcknowledged(**trader.stamp(), executor="exec-1"))
        await until_state(bus, http, headers, trader.session, "acknowledged")
        await bus.say(EmergencyStopAcknowledged(**trader.stamp(), state="completed"))
        await until_state(bus, http, headers, trader.session, "completed")
        (stop,) = await stops(http, headers, trader.session)
        assert stop["executor"] == "exec-1"
    assert bus.bodies("stop_unconfirmed") == []


@BOTH
async def test_a_person_stops_a_session_once_per_key(bus, risk, trader, token):
    path = f"/v1/sessions/{trader.session}/emergency-stop"
    headers = token(trader.user, "risk:stop", "session:read")
    async with risk(risk_stop_mode="off") as http:
        key = {"Idempotency-Key": "k-1"}
        first = await http.post(path, headers=headers | key, json={"mode": "flatten"})
        again = await http.post(path, headers=headers | key, json={"mode": "flatten"})
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.json()["id"] == again.json()["id"]
        request = EmergencyStopRequested(**trader.stamp(), idempotency_key="k-1")
        await bus.say(request)
        other = EmergencyStopRequested(**trader.stamp(), idempotency_key="k-2", reason="Enough")
        await bus.say(other, other)
        await bus.until(lambda: len(bus.bodies("command.emergency_stop")) == 2)
        await until_state(bus, http, headers, trader.session, "dispatched", "dispatched")
    assert [b["mode"] for b in bus.bodies("command.emergency_stop")] == ["flatten", "halt"]
    assert bus.bodies("emergency_stop.emergency")[0]["requestedBy"] == f"user:{trader.user}"


async def test_stopping_wants_its_scope_a_key_and_ones_own_session(bus, risk, trader, token):
    path = f"/v1/sessions/{trader.session}/emergency-stop"
    key = {"Idempotency-Key": "k"}
    async with risk() as http:
        await bus.say(*[trader.starts(loss_limit=Decimal(1))])
        assert (await http.post(path, headers=key)).status_code == 401
        poor = token(trader.user, "session:read") | key
        assert (await http.post(path, headers=poor)).status_code == 403
        mine = token(trader.user, "risk:stop")
        assert (await http.post(path, headers=mine)).status_code == 422
        theirs = token("mallory", "risk:stop") | key
        answer = await http.post(path, headers=theirs, json={"userId": trader.user})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        chief = token("chief", "risk:stop", supervises=[trader.user]) | key
        answer = await http.post(path, headers=chief, json={"userId": trader.user})
        assert (answer.status_code, answer.json()["userId"]) == (202, trader.user)
        bad = await http.post(path, headers=mine | key, json={"mode": "explode"})
        assert bad.json()["errors"][0]["field"] == "mode"


async def test_release_rearms_what_was_latched_and_says_who_and_why(bus, risk, trader, token):
    path = f"/v1/sessions/{trader.session}/emergency-stop/release"
    async with risk(risk_stop_ack_deadline_s=60) as http:
        await lose_it_all(bus, trader)
        await bus.until(lambda: len(bus.bodies("emergency_stop")) == 2)
        trader_only = token(trader.user, "risk:stop", "session:read")
        refused = await http.post(path, headers=trader_only, json={"reason": "please"})
        assert refused.status_code == 403
        chief = token("chief", "risk:unlock", "session:read", supervises=[trader.user])
        assert (await http.post(path, headers=chief, json={})).status_code == 422
        done = await http.post(path, headers=chief, json={"reason": "Positions are flat"})
        assert done.json()["rules"] == ["loss_limit"]
        assert [s["state"] for s in done.json()["stops"]] == ["released"]
        again = await http.post(path, headers=chief, json={"reason": "twice"})
        assert (again.status_code, again.json()["code"]) == (409, "nothing_to_release")
        await bus.until(lambda: bool(bus.bodies("system_notification")))
        await bus.say(trader.loses(120), trader.loses(120))
        await bus.until(lambda: len(bus.bodies("command.emergency_stop")) == 2)
    assert "user:chief: Positions are flat" in bus.bodies("system_notification")[0]["message"]
    emergencies = bus.bodies("loss_limit.emergency")
    assert len({body["id"] for body in emergencies}) == len(emergencies) == 2


async def test_an_owner_may_tighten_limits_and_only_an_admin_loosen_them(bus, risk, trader, token):
    path = f"/v1/limits/{trader.session}"
    mine = token(trader.user, "session:read")
    async with risk() as http:
        await bus.say(trader.starts(loss_limit=Decimal(1000)), trader.loses(100))
        await until_known(bus, http, mine, trader)
        loose = await http.put(path, headers=mine, json={"lossLimit": 2000})
        assert (loose.status_code, loose.json()["code"]) == (403, "forbidden")
        tight = await http.put(path, headers=mine, json={"lossLimit": 100})
        assert (tight.status_code, tight.json()["lossLimit"]) == (200, 100.0)
        assert tight.json()["setBy"] == f"user:{trader.user}"
        await bus.say(trader.loses(100), trader.loses(100))
        await bus.until(lambda: bool(bus.bodies("loss_limit.emergency")))
        admin = token("root", "session:read", "admin")
        raised = await http.put(path, headers=admin, json={"lossLimit": 5000})
        assert raised.json() == {
            "userId": trader.user,
            "sessionId": trader.session,
            "status": "active",
            "lossLimit": 5000.0,
            "timeLimitS": None,
            "setBy": "user:root",
        }
        nobodys = await http.get("/v1/limits", headers=token("mallory", "session:read"))
        assert nobodys.json() == []


async def until_known(bus, http, headers, trader):
    async with asyncio.timeout(20):
        while not (await http.get("/v1/limits", headers=headers)).json():
            await asyncio.sleep(0.02)
