"""What a user says on one device holds on all of them: marks, the archive, preferences."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from plain import DEADLINE_S, alert, connected, ids, publish


class Desk:
    """The desk of one user, over HTTP."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer to a request."""
        answer = await self._client.request(method, "/v1" + path, json=body)
        answer.raise_for_status()
        return answer.json()

    async def shown(self) -> tuple[set[str], int]:
        """Return the ids in the history, and how many are unread."""
        page = await self.ask("GET", "/notifications?limit=200")
        return {item["id"] for item in page["items"]}, page["unreadCount"]

    async def until_unread(self, count: int) -> None:
        """Wait until so many are unread."""
        async with asyncio.timeout(DEADLINE_S):
            while (await self.ask("GET", "/notifications/unread"))["unreadCount"] != count:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def desk_of(fleet, user) -> AsyncIterator[Desk]:
    headers = {"Authorization": f"Bearer {fleet.token(user)}"}
    async with httpx.AsyncClient(
        base_url=fleet.url("desk"), headers=headers, timeout=DEADLINE_S, trust_env=False
    ) as client:
        yield Desk(client)


@pytest.fixture
async def desk(fleet, user):
    async with desk_of(fleet, user) as made:
        yield made


async def test_two_devices_agree_on_what_is_unread_and_archived(fleet, user, desk):
    warnings = [alert(user, number, "warning") for number in range(3)]
    critical = alert(user, 1)
    async with (
        connected(fleet, user, "edge-1", clientId="laptop") as laptop,
        connected(fleet, user, "edge-2", clientId="phone") as phone,
    ):
        await publish(fleet, *warnings, critical)
        await desk.until_unread(4)
        await desk.ask("POST", f"/notifications/{warnings[0]['id']}/read")
        await desk.ask("POST", "/notifications/archive", {"all": True})
        for device in (laptop, phone):
            read, archived = await device.until("notification_read", 2)
            assert (read["ids"], read["unreadCount"]) == ([warnings[0]["id"]], 3)
            assert (archived["archived"], archived["all"], archived["unreadCount"]) == (
                True,
                True,
                1,
            )
        assert await desk.shown() == ({critical["id"]}, 1)
    async with connected(fleet, user, "edge-1", clientId="laptop", resume="true") as laptop:
        assert ids(await laptop.until("risk_alert"))[-1] == critical["id"]  # as open as it was
        await laptop.ack(critical)
        await laptop.fence()


async def test_preferences_hold_at_once_on_every_edge_and_after_a_reconnection(fleet, user, desk):
    only_critical = {"minimumLevels": {"risk_alert": "critical"}}
    async with (
        connected(fleet, user, "edge-1", clientId="laptop") as laptop,
        connected(fleet, user, "edge-2", clientId="phone") as phone,
    ):
        kept = await desk.ask("PATCH", "/preferences", only_critical)
        for device in (laptop, phone):
            (told,) = await device.until("preferences_changed")
            assert told["preferences"]["version"] == kept["version"]
        shown = alert(user, 2)
        await publish(fleet, alert(user, 1, "warning"), shown)
        for device in (laptop, phone):
            await device.until("risk_alert")
            await device.fence()
            assert ids(device.all("risk_alert")) == [shown["id"]]
        await laptop.ack(shown)
        await laptop.fence()
    await publish(fleet, alert(user, 3, "warning"))
    async with connected(fleet, user, "edge-2", clientId="laptop", resume="true") as laptop:
        shown = alert(user, 4)
        await publish(fleet, shown)
        await laptop.until("risk_alert")
        await laptop.fence()
        assert ids(laptop.all("risk_alert")) == [shown["id"]]
        await desk.ask("PUT", "/preferences", {})
        await laptop.until("preferences_changed")
        warning = alert(user, 5, "warning")
        await publish(fleet, warning)
        assert ids(await laptop.until("risk_alert", 2)) == [shown["id"], warning["id"]]
