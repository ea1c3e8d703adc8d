"""A running fleet has the metrics that the documentation describes and the alert rules ask for."""

import asyncio
import re
from contextlib import suppress
from pathlib import Path

import httpx
from engines.fleet import EDGES
from plain import alert, connected, decision, publish
from test_loss_limit import LOSSES, mark, started

ROOT = Path(__file__).parents[1]
SCRAPED = (*EDGES, "ingest", "risk", "market", "desk")
DEADLINE_S = 60.0
ONLY_AFTER_TROUBLE = {
    "tapewire_broker_not_confirmed_total",  # a broker that takes nothing
    "tapewire_edge_dropped_total",  # a client that does not read
    "tapewire_edge_gaps_total",  # a device that missed more than a hundred
    "tapewire_edge_resent_total",  # nobody acknowledges for 30 s
    "tapewire_market_bad_ticks_total",
    "tapewire_market_feed_gaps_total",  # a venue that leaves numbers out
    "tapewire_market_feed_reconnects_total",
    "tapewire_rate_limited_total",
    "tapewire_risk_repeats_total",  # nobody acknowledges for a minute
}
"""Counters that begin with their first event, which tests of their services cause."""


def documented() -> set[str]:
    return set(re.findall(r"`(tapewire_\w+)`", (ROOT / "docs" / "metrics.md").read_text()))


def asked_by_rules() -> set[str]:
    text = (ROOT / "infra" / "observability" / "alerts.yml").read_text()
    return {name.removesuffix("_bucket") for name in re.findall(r"\btapewire_\w+", text)}


async def scraped(fleet) -> set[str]:
    async with httpx.AsyncClient(trust_env=False) as http:
        answers = [await http.get(f"{fleet.url(node)}/metrics") for node in SCRAPED]
    return {
        name
        for answer in answers
        for name in re.findall(r"^# TYPE (tapewire_\w+)", answer.text, re.M)
    }


async def test_every_metric_that_is_documented_or_asked_for_is_there(fleet, user):
    assert asked_by_rules() <= documented()
    async with httpx.AsyncClient(trust_env=False) as http:
        refused = await http.get(
            f"{fleet.url('desk')}/v1/sessions", headers={"Authorization": "Bearer nobody"}
        )
        assert refused.status_code == 401
    # One whose inbox desk opens, since nobody comes, and one whose edge may be quicker.
    await publish(fleet, started(user), alert(f"{user}-away", 1), alert(f"{user}-new", 1))
    async with connected(fleet, f"{user}-new") as new:  # whose alert came by the mailroom
        await new.ack(*await new.until("risk_alert"))
    async with connected(fleet, user) as alice:
        await alice.subscribe(f"sessions:{user}", "market:SPY")
        for number, loss in enumerate(LOSSES):
            await publish(fleet, mark(user, loss) | {"id": f"{user}-{number}"})
        await publish(fleet, decision(user, 1))
        await alice.until("emergency_stop")
    async with connected(fleet, user, "edge-2") as alice, connected(fleet, user):
        stop = await alice.until("emergency_stop")  # redelivered
        await alice.ack(*alice.all("risk_alert"), *stop)
        await alice.fence()
        missing = documented() - ONLY_AFTER_TROUBLE
        with suppress(TimeoutError):
            async with asyncio.timeout(DEADLINE_S):
                while missing := missing - await scraped(fleet):
                    await asyncio.sleep(0.5)
        assert missing == set()
