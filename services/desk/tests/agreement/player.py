"""Plays what happens to one user, and compares a page that listens with one that asks."""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta

from agreement.page import Page, snapshot
from tapewire.contracts import parse_event

START = datetime.now(UTC).replace(microsecond=0)


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

    def carried(self, alter=lambda events: events):
        """The page as it is now: what it saw, and all that it heard since it was opened.

        Args:
            alter: puts a fault into what it heard since.
        """
        before, page = Page(), deepcopy(self.page)
        events = self.events()
        events[self.looked_at :] = alter(events[self.looked_at :])
        for event in events[: self.looked_at]:
            before.hear(event)
        page.archived = before.archived
        for number, event in enumerate(events):
            if number >= self.looked_at or event["type"] != "notification_read":
                page.hear(event)
        return page.shown()

    async def agree(self):
        """Also on what desk is still to enter, and the broker to deliver."""
        return self.agrees(await snapshot(self.client))

    def agrees(self, fresh, alter=lambda events: events):
        """Whether the page that listens shows what `fresh` does."""
        self.differ = self.carried(alter), fresh.shown()
        # Asked for one after the other: desk may have entered one in between.
        return self.differ[0] == self.differ[1] and fresh.listed == set(fresh.decisions)
