"""Polling and socket agree: a snapshot and the events after it are what a fresh snapshot says.

A page asks desk once and carries on with what it hears. Here a page is a fold of what desk and the
broker really say, over whatever happens in whatever order; the overlap is on purpose: events that
are in the snapshot already are heard again.
"""

import asyncio
import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from itertools import count

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapewire.auth import DEFAULT_SCOPES, mint
from tapewire.broker import Link, Publisher, Role, declare, topology
from tapewire.contracts import parse_event

START = datetime.now(UTC).replace(microsecond=0)
CRITICAL = {"critical", "emergency"}
SECRET = "a secret of thirty-two bytes or more"

MARKS = {
    "read": ("read", {"ids": []}),
    "read-all": ("read-all", {}),
    "archive": ("archive", {"ids": []}),
    "archive all": ("archive", {"all": True}),
    "archive all and one": ("archive", {"ids": [], "all": True}),
}
"""Path and body; one of the alerts is put where ids are to be."""

EVENTS = st.one_of(
    st.tuples(st.just("session_started"), st.just({"algorithmId": "a"})),
    st.tuples(
        st.just("session_status"),
        st.builds(
            lambda pnl, equity, status: {
                "status": status,
                "data": {"currentPnL": pnl} | ({"equity": equity} if equity else {}),
            },
            st.integers(-500, 500),
            st.none() | st.integers(1, 9000),
            st.sampled_from(["active", "paused"]),
        ),
    ),
    st.tuples(st.just("session_completed"), st.sampled_from([{}, {"summary": {"finalPnL": 7}}])),
    st.tuples(
        st.just("algorithm_decision"),
        st.just({"algorithmId": "a", "decision": "buy", "reasoning": "up", "confidence": 0.5}),
    ),
    st.tuples(
        st.just("risk_alert"),
        st.sampled_from(["warning", "critical"]).map(
            lambda level: {
                "alertLevel": level,
                "alertType": "loss_limit",
                "message": "near",
                "currentValue": 91,
                "threshold": 90,
            }
        ),
    ),
    st.tuples(
        st.just("risk_alert"),
        st.sampled_from(["warning", "critical"]).map(
            lambda level: {
                "alertLevel": level,
                "alertType": "loss_limit",
                "message": "near",
                "currentValue": 91,
                "threshold": 90,
            }
        ),
    ),
)
PUBLISH = st.tuples(
    st.just("publish"), EVENTS, st.sampled_from(["s-1", "s-2"]), st.sampled_from([0.0, 0.4, 1, 3])
)
MARK = st.tuples(
    st.just("mark"),
    st.sampled_from(["read", "read-all", "archive", "archive all", "archive all and one"]).map(
        MARKS.get
    ),
    st.integers(0, 9),
).map(lambda step: (step[0], *step[1], step[2]))
CHANGE = st.tuples(
    st.just("change"),
    st.sampled_from(
        [{"marketDataRate": 2}, {"marketDataRate": None}, {"muted": ["trade_executed"]}]
    ),
)
STEP = st.one_of(PUBLISH, PUBLISH, MARK, CHANGE)
# What happens before the page asks, and after it: only the latter is carried on.
STEPS = st.tuples(st.lists(STEP, max_size=6), st.lists(STEP, min_size=4, max_size=12)).map(
    lambda parts: [*parts[0], ("look",), *parts[1]]
)


class Page:
    """What one page shows: a snapshot, and what it heard since."""

    def __init__(self) -> None:
        self.sessions = {}
        self.decisions = {}
        self.listed = set()  # of the user, not of each session
        self.pnl = {}
        self.account = {}
        self.items = {}
        self.archived = set()
        self.unread = 0
        self.preferences = None

    def hear(self, event):
        """One event, in the order in which the broker gives it; also one that is known."""
        getattr(self, f"_{event['type']}")(event)

    def _session_started(self, event):
        name = event["sessionId"]
        self.sessions[name] = self.sessions.get(name, {}) | {"status": "active", "ended": False}
        self._account(name, open=True)

    def _session_status(self, event):
        name = event["sessionId"]
        session = self.sessions.setdefault(name, {"status": "active", "ended": False})
        if session["ended"]:
            return
        session |= {"status": event["status"], "data": event["data"]}
        self._point(name, event, event["data"]["currentPnL"], event["data"].get("equity"))

    def _session_completed(self, event):
        name = event["sessionId"]
        session = self.sessions.setdefault(name, {})
        session |= {"status": event["status"], "ended": True}
        if "summary" in event:
            self._point(name, event, event["summary"]["finalPnL"], None)
        self._account(name, open=False)

    def _point(self, name, event, pnl, equity):
        at = int(datetime.fromisoformat(event["timestamp"]).timestamp())
        self.pnl.setdefault(name, {})[at] = (pnl, equity)
        self._account(name)

    def _account(self, name, **change):
        told = self.pnl.get(name)
        if not told:
            return
        known = self.account.setdefault(name, {"open": True, "pnl": 0, "equity": None})
        known |= change
        newest = max(told)
        known["pnl"] = told[newest][0]
        equities = [told[at][1] for at in sorted(told) if told[at][1] is not None]
        known["equity"] = equities[-1] if equities else None

    def _algorithm_decision(self, event):
        self.sessions.setdefault(event["sessionId"], {"status": "active", "ended": False})
        self.decisions[event["id"]] = event

    def _risk_alert(self, event):
        self.sessions.setdefault(event["sessionId"], {"status": "active", "ended": False})
        if event["id"] not in self.items and event["id"] not in self.archived:
            self.items[event["id"]] = {"level": event["alertLevel"], "read": False}
            self.unread += 1

    def _notification_read(self, event):
        marked = list(event.get("ids", []))
        if event.get("all"):
            marked += [
                id
                for id, item in self.items.items()
                if not event.get("archived") or item["level"] not in CRITICAL
            ]
        for id in marked:
            if event.get("archived"):
                self.archived.add(id)
                self.items.pop(id, None)
            elif id in self.items:
                self.items[id]["read"] = True
        self.unread = event["unreadCount"]

    def _preferences_changed(self, event):
        told = event["preferences"]
        if self.preferences is None or told["version"] > self.preferences["version"]:
            self.preferences = {"marketDataRate": None} | told

    def shown(self):
        return {
            "sessions": self.sessions,
            "decisions": self.decisions,
            "pnl": self.pnl,
            "account": self.account,
            "items": self.items,
            "unread": self.unread,
            "preferences": self.preferences,
        }


async def snapshot(client) -> Page:
    """Return a page that has just asked for everything, in pages as short as can be."""
    page = Page()

    async def get(path):
        response = await client.get("/v1" + path)
        response.raise_for_status()
        return response.json()

    for one in (await get("/sessions"))["sessions"]:
        name = one["sessionId"]
        page.sessions[name] = {"status": one["status"], "ended": one["ended"]}
        if one["data"] is not None:
            data = {key: value for key, value in one["data"].items() if value is not None}
            page.sessions[name]["data"] = data
        history = await get(f"/sessions/{name}/pnl?points=2000")
        assert history["bucketS"] == 1
        times = [datetime.fromisoformat(point["time"]) for point in history["points"]]
        assert times == sorted(set(times))
        points = zip(times, history["points"], strict=True)
        page.pnl |= (
            {name: {int(at.timestamp()): (point["pnl"], point["equity"]) for at, point in points}}
            if times
            else {}
        )
        decisions = await get(f"/sessions/{name}/decisions?limit=500")
        page.decisions |= {one["id"]: one for one in decisions["items"]}
    cursor, seen = "", []
    while cursor is not None:
        found = await get("/decisions?limit=2" + cursor)
        seen += [one["id"] for one in found["items"]]
        cursor = found["nextCursor"] and f"&cursor={found['nextCursor']}"
    assert len(seen) == len(set(seen))
    page.listed = set(seen)
    account = await get("/account")
    page.account = {
        one["sessionId"]: {key: one[key] for key in ("open", "pnl", "equity")}
        for one in account["sessions"]
    }
    cursor = ""
    while cursor is not None:
        found = await get("/notifications?limit=2" + cursor)
        page.items |= {
            one["id"]: {"level": one["level"], "read": one["read"]} for one in found["items"]
        }
        page.unread = found["unreadCount"]
        cursor = found["nextCursor"] and f"&cursor={found['nextCursor']}"
    page.preferences = await get("/preferences")
    return page


@pytest.fixture
def settings_of_desk(settings, database_url):
    """Desk on the database that the test is for."""
    return settings.model_copy(update={"database_url": database_url})


@pytest.fixture
async def desk_url(start_desk, settings_of_desk, rabbit, until):
    url = await start_desk(settings_of_desk)
    async with httpx.AsyncClient(base_url=url) as client:

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


class Player:
    """One user: does what the steps say, with a page that looks once and then only listens."""

    def __init__(self, user, client, publisher, heard, until) -> None:
        self.user = user
        self.client = client
        self.publisher = publisher
        self.heard = heard
        self.until = until
        self.begin = len(heard)
        self.now = START
        self.alerts = []
        self.page = None
        self.looked_at = 0
        self.differ = None

    async def play(self, steps):
        for name, *details in steps:
            await getattr(self, name)(*details)
        await self.look()
        try:
            await self.until(self.agree, timeout_s=60)
        except BaseException:
            print(*(self.differ or ()), sep="\n")
            raise

    async def publish(self, what, session, gap_s):
        self.now += timedelta(seconds=gap_s)
        kind, fields = what
        about = {"type": kind, "userId": self.user, "sessionId": session}
        event = parse_event(about | fields | {"timestamp": self.now.isoformat()})
        await self.publisher.publish_event(event)
        if kind == "risk_alert":
            self.alerts.append(event.id)

    async def mark(self, path, body, number):
        await self.until(self.all_entered)
        if body.get("ids") == []:
            body = body | {"ids": self.alerts[number : number + 1] or ["none"]}
        (await self.client.post(f"/v1/notifications/{path}", json=body)).raise_for_status()
        await self.change({})  # said after the mark, so once it is heard, so is the mark

    async def change(self, said):
        kept = (await self.client.patch("/v1/preferences", json=said)).raise_for_status().json()
        version = kept["version"]
        await self.until(
            lambda: any(
                event["type"] == "preferences_changed"
                and event["preferences"]["version"] == version
                for event in self.events()
            )
        )

    async def look(self):
        """As a page does: what is marked while it asks would make it ask again."""
        if self.page is None:
            self.looked_at = len(self.events())
            self.page = await snapshot(self.client)

    async def all_entered(self):
        found = [
            (await self.client.get(f"/v1/notifications?limit=200&archived={flag}")).json()
            for flag in ("false", "true")
        ]
        return sum(len(page["items"]) for page in found) == len(self.alerts)

    def events(self):
        mine = (one for one in self.heard[self.begin :] if one.routing_key.startswith(self.key))
        return [json.loads(one.body) for one in mine]

    @property
    def key(self):
        return f"{self.user}."

    def carried(self):
        """The page as it is now: what it saw, and all that it heard since it was opened."""
        before, page = Page(), deepcopy(self.page)
        events = self.events()
        for event in events[: self.looked_at]:
            before.hear(event)
        page.archived = before.archived
        for number, event in enumerate(events):
            if number >= self.looked_at or event["type"] != "notification_read":
                page.hear(event)
        return page.shown()

    async def agree(self):
        """Also on what desk is still to enter, and the broker to deliver."""
        fresh = await snapshot(self.client)
        self.differ = self.carried(), fresh.shown()
        # Asked for one after the other: desk may have entered one in between.
        return self.differ[0] == self.differ[1] and fresh.listed == set(fresh.decisions)


async def test_a_snapshot_and_the_events_after_it_are_a_fresh_snapshot(desk_url, say, heard, until):
    loop, users = asyncio.get_running_loop(), count()

    async def play(steps):
        user = f"user-{next(users)}"
        headers = {"Authorization": f"Bearer {mint(SECRET, user, scopes=DEFAULT_SCOPES)}"}
        async with httpx.AsyncClient(base_url=desk_url, headers=headers, timeout=20) as client:
            await Player(user, client, say, heard, until).play(steps)

    @settings(
        max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(STEPS)
    def check(steps):
        asyncio.run_coroutine_threadsafe(play(steps), loop).result(170)

    await asyncio.to_thread(check)
