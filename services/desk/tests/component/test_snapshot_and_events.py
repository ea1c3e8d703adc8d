"""Polling and socket agree: a snapshot and the events after it are what a fresh snapshot says.

A page asks desk once and carries on with what it hears. Here a page is a fold of what desk and the
broker really say, over whatever happens in whatever order; the overlap is on purpose: events that
are in the snapshot already are heard again.
"""

import asyncio
from contextlib import asynccontextmanager
from copy import deepcopy
from itertools import count

import httpx
import pytest
from agreement.page import snapshot
from agreement.player import Player
from agreement.steps import DECISION, STEPS, alert, status
from hypothesis import HealthCheck, given, settings

from tapewire.auth import DEFAULT_SCOPES, mint
from tapewire.broker import Link, Publisher, Role, declare, topology

SECRET = "a secret of thirty-two bytes or more"


@pytest.fixture
def settings_of_desk(settings, database_url):
    """Desk on the database that the test is for."""
    return settings.model_copy(update={"database_url": database_url})


@pytest.fixture
async def desk_url(start_desk, settings_of_desk, rabbit, until):
    url = await start_desk(settings_of_desk)
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def is_ready():
            return (await client.get("/readyz")).status_code == 200

        await until(is_ready)
    return url


@pytest.fixture
async def say(broker_url, rabbit):
    link = Link(broker_url, Role.PUBLISH, name="services")
    await link.start()
    yield Publisher(link)
    await link.close()


@pytest.fixture
async def heard(rabbit, broker_url):
    """All that is said on both exchanges, in the order in which it is."""
    link = Link(broker_url, Role.TOPOLOGY, name="page")
    await link.start()
    bindings = (topology.Binding("tw.events", "#"), topology.Binding("tw.alerts", "#"))
    queue = topology.Queue("page", {"x-queue-type": "classic"}, bindings)
    await declare(link, [queue])
    yield await rabbit.consume(queue.name)
    await link.close()


@pytest.fixture
def new_player(desk_url, say, heard, until):
    """A user whom desk has not seen."""
    users = count()

    @asynccontextmanager
    async def new():
        user = f"user-{next(users)}"
        headers = {"Authorization": f"Bearer {mint(SECRET, user, scopes=DEFAULT_SCOPES)}"}
        async with httpx.AsyncClient(base_url=desk_url, headers=headers, timeout=20) as client:
            yield Player(user, client, say, heard, until)

    return new


async def test_a_snapshot_and_the_events_after_it_are_a_fresh_snapshot(new_player):
    loop = asyncio.get_running_loop()

    async def play(steps):
        async with new_player() as player:
            await player.play(steps)

    @settings(
        max_examples=10,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(STEPS)
    def check(steps):
        asyncio.run_coroutine_threadsafe(play(steps), loop).result(170)

    await asyncio.to_thread(check)


DAY = [
    ("publish", ("session_started", {"algorithmId": "a"}), "s-1", 0.0),
    ("publish", ("session_status", status(-1, 900)), "s-1", 1),
    ("publish", ("risk_alert", alert("warning")), "s-1", 0.0),
    ("look",),
    ("publish", ("session_started", {"algorithmId": "a"}), "s-2", 0.0),
    ("publish", ("session_status", status(-2, 901)), "s-1", 1),
    ("publish", ("session_status", status(-3)), "s-1", 1),
    ("publish", ("session_status", status(-4, 903)), "s-1", 0.0),
    ("publish", ("algorithm_decision", DECISION), "s-1", 1),
    ("publish", ("algorithm_decision", DECISION), "s-1", 1),
    ("publish", ("risk_alert", alert("critical")), "s-1", 0.0),
    ("publish", ("risk_alert", alert("critical")), "s-1", 0.0),
    ("mark", "read", {"ids": []}, 1),
    ("change", {"marketDataRate": 2}),
    ("publish", ("session_completed", {"summary": {"finalPnL": 7}}), "s-1", 2),
]
"""Something of everything, so that there is something to go wrong."""


def without_last(kind):
    """Forget the last event of a type."""

    def alter(events):
        found = [number for number, event in enumerate(events) if event["type"] == kind]
        return [event for number, event in enumerate(events) if number != found[-1]]

    return alter


def swapped(events):
    """Hear two figures of one second the other way round."""
    *_, one, other = (n for n, event in enumerate(events) if event["type"] == "session_status")
    events = list(events)
    events[one], events[other] = events[other], events[one]
    return events


def without_equity(events):
    events = deepcopy(events)
    for event in events:
        event.get("data", {}).pop("equity", None)
    return events


def miscounted(events):
    return [event | {"unreadCount": 9} if "unreadCount" in event else event for event in events]


OF_EVENTS = {
    "session_started": without_last("session_started"),
    "session_completed": without_last("session_completed"),
    "algorithm_decision": without_last("algorithm_decision"),
    "risk_alert": without_last("risk_alert"),
    "notification_read": without_last("notification_read"),
    "swapped figures": swapped,
    "equity": without_equity,
    "count": miscounted,
}


def spoil(of, change):
    """A fault in what desk tells under paths that hold `of`."""

    def alter(path, told):
        if of in path:
            change(told)
        return told

    return alter


def exchange(points):
    points[0]["pnl"], points[1]["pnl"] = points[1]["pnl"], points[0]["pnl"]


OF_REPLIES = {
    "session": spoil("/sessions", lambda told: told.get("sessions", [0, 0]).pop()),
    "status": spoil(
        "/sessions", lambda told: [one.update(ended=False) for one in told.get("sessions", [])]
    ),
    "P&L point": spoil("s-1/pnl", lambda told: told["points"].pop(1)),
    "order of P&L": spoil("s-1/pnl", lambda told: exchange(told["points"])),
    "decision of the session": spoil("s-1/decisions", lambda told: told["items"].pop()),
    "decision of the user": spoil("/decisions?limit=2", lambda told: told["items"].clear()),
    "account": spoil("/account", lambda told: told["sessions"][0].update(equity=None)),
    "notification": spoil("/notifications", lambda told: told["items"].pop()),
    "read mark": spoil(
        "/notifications", lambda told: [one.update(read=False) for one in told["items"]]
    ),
    "count": spoil("/notifications", lambda told: told.update(unreadCount=9)),
    "preference": spoil("/preferences", lambda told: told.update(marketDataRate=None)),
}


async def test_the_comparison_sees_a_fault_of_either_side(new_player):
    async with new_player() as player:
        await player.play(DAY)
        assert player.agrees(await snapshot(player.client))
        assert player.agrees(await snapshot(player.client), lambda events: [*events, *events[-2:]])
        unseen = [
            f"events: {name}"
            for name, fault in OF_EVENTS.items()
            if player.agrees(await snapshot(player.client), fault)
        ]
        unseen += [
            f"replies: {name}"
            for name, fault in OF_REPLIES.items()
            if player.agrees(await snapshot(player.client, fault))
        ]
    assert unseen == []
