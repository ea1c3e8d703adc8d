"""Alarms that nobody acknowledged, told again by the real service."""

import re

import pytest

from tapewire.contracts import AlertAcknowledged
from tapewire.risk.alerts import NO_INSTRUMENT, make_id

pytestmark = pytest.mark.parametrize(
    "database",
    ["sqlite", pytest.param("postgresql", marks=pytest.mark.containers)],
    indirect=True,
)
QUICK = {"risk_stop_mode": "off", "risk_repeat_emergency_s": 0.5}


def emergency(trader):
    """Two marks past the limit: one emergency."""
    return [trader.reports(120), trader.reports(120)]


def of(bus, trader):
    return [body for body in bus.bodies("emergency") if body["userId"] == trader.user]


async def shown(http, headers):
    (alert,) = (await http.get("/v1/alerts", headers=headers)).json()
    return alert["acknowledged"], alert["repeats"]


async def test_what_nobody_acknowledges_is_told_again_as_often_as_set_and_no_more(
    bus, risk, trader
):
    later = type(trader)()
    async with risk(**QUICK, risk_repeat_most=1) as http:
        story = emergency(trader)
        await bus.say(*story)
        await bus.until(lambda: len(of(bus, trader)) == 2)
        await bus.say(*story, trader.reports(130))  # redelivered, and more of the same
        await bus.say(*emergency(later))
        await bus.until(lambda: len(of(bus, later)) == 2)
        metrics = (await http.get("/metrics")).text
    assert re.search(r'^tapewire_risk_repeats_total\{.*"emergency".*\} \d', metrics, re.M)
    first, second = of(bus, trader)
    assert (first.get("repeat"), second["repeat"]) == (None, 1)
    assert first["id"] != second["id"]
    assert first["episodeId"] == second["episodeId"]
    assert second["ack"] is True
    assert second["message"] == f"Not acknowledged: {first['message']}"


async def test_what_was_acknowledged_is_told_no_more_however_often_that_is_said(
    bus, risk, trader, token
):
    other = type(trader)()
    key = (trader.user, trader.session, "loss_limit", NO_INSTRUMENT)
    ids = [make_id(*key, 1, "emergency", 1)]
    async with risk(risk_stop_mode="off", risk_repeat_emergency_s=3, risk_repeat_most=1) as http:
        word = AlertAcknowledged(**trader.stamp(), alert_ids=ids)
        of_another = AlertAcknowledged(**other.stamp(), alert_ids=ids)
        await bus.say(*emergency(trader), word, word)
        await bus.say(*emergency(other), of_another)
        await bus.until(lambda: len(of(bus, other)) == 2)
        alerts = [await shown(http, token(t.user, "session:read")) for t in (trader, other)]
    assert alerts == [(True, 0), (False, 1)]
    assert [body["id"] for body in of(bus, trader)] == ids
