"""What one page shows: a snapshot of desk's, carried on by events."""

from datetime import datetime

CRITICAL = {"critical", "emergency"}


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


async def snapshot(client, alter=lambda path, told: told) -> Page:
    """Return a page that has just asked for everything, in pages as short as can be.

    Args:
        client: asks as the user.
        alter: puts a fault into what desk told, by path.
    """
    page = Page()

    async def get(path):
        response = await client.get("/v1" + path)
        response.raise_for_status()
        return alter(path, response.json())

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
