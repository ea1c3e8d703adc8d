"""The dashboard as a trader meets it: what they see, and what they do."""

from pathlib import Path
from typing import Any

from engines import Fleet
from plain import Message
from playwright.async_api import BrowserContext, Locator, Page, expect

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE_MS = 30_000  # two loaded cores; on a quiet machine nothing takes a second


class Desk:
    """One tab of a user's browser. Locators are by role and name: what is seen and heard."""

    def __init__(self, page: Page, fleet: Fleet, user: str) -> None:
        self.page = page
        self.user = user
        self._fleet = fleet
        page.set_default_timeout(PATIENCE_MS)

    @property
    def context(self) -> BrowserContext:
        """The browser's storage and network: a device."""
        return self.page.context

    async def open(self) -> None:
        """Open the page, signed in or not."""
        await self.page.goto(address(self._fleet))

    async def sign_in(self, *, until: str = "connected") -> None:
        """Open the page and sign in, by name or by token, as the fleet wants it.

        A name is known to a device's other tabs, and is not asked for again.
        """
        await self.open()
        name = self.page.get_by_label("Trader", exact=True)
        token = self.page.get_by_label("Access token", exact=True)
        await name.or_(token).or_(self.connection).wait_for()
        if await self.connection.is_visible():
            return await self.until(until)
        if await name.is_visible():
            await name.fill(self.user)
        else:
            await token.fill(self._fleet.token(self.user))
        await self.page.get_by_role("button", name="Sign in").click()
        return await self.until(until)

    async def until(self, state: str) -> None:
        """Wait until the connection pill shows `state`."""
        await expect(self.connection).to_have_attribute("data-state", state, timeout=PATIENCE_MS)

    @property
    def connection(self) -> Locator:
        """The connection pill."""
        return self.page.get_by_test_id("connection")

    @property
    def dialog(self) -> Locator:
        """The dialog of a critical alert, or of STOP."""
        return self.page.get_by_role("alertdialog")

    @property
    def banner(self) -> Locator:
        """The bar that stays until every critical alert is acknowledged."""
        return self.page.get_by_test_id("critical-banner")

    @property
    def quotes(self) -> Locator:
        """The rows of the quotes."""
        return self.page.get_by_test_id("quote")

    @property
    def alerts(self) -> Locator:
        """The rows of alerts and notifications."""
        return self.page.get_by_test_id("alert")

    def button(self, name: str) -> Locator:
        """Return a button by its whole name."""
        return self.page.get_by_role("button", name=name, exact=True)

    async def open_preferences(self) -> None:
        """Open the preferences, and wait until they are known."""
        await self.page.get_by_role("button", name="Menu of").click()
        await self.button("Preferences…").click()
        await self.page.get_by_role("combobox", name="Notices", exact=True).wait_for()

    async def acknowledge(self) -> None:
        """Acknowledge what the dialog shows."""
        await self.dialog.get_by_role("button", name="Acknowledge", exact=True).click()

    async def until_dialog_listens(self) -> None:
        """Wait for a dialog, and until it takes a click that was meant for it."""
        await expect(self.dialog).to_be_visible(timeout=PATIENCE_MS)
        await expect(self.dialog).to_have_attribute("data-settled", "true", timeout=PATIENCE_MS)

    async def focused(self) -> str:
        """Return the name or text of what has the focus."""
        return await self.page.evaluate(
            "() => document.activeElement.getAttribute('aria-label')"
            " ?? document.activeElement.innerText.trim()"
        )

    async def violations(self) -> list[str]:
        """Return what axe finds wrong with what is shown now, once no transition is half way."""
        if await self.page.evaluate("() => !globalThis.axe"):
            await self.page.evaluate(AXE.read_text())
        found = await self.page.evaluate(
            """async () => {
                const ends = ({effect}) => effect.getComputedTiming().iterations !== Infinity;
                const moving = document.getAnimations().filter(ends);
                await Promise.allSettled(moving.map(({finished}) => finished));
                const rules = {'target-size': {enabled: true}};  // 24 px, off unless asked for
                return (await axe.run({rules, resultTypes: ['violations']})).violations;
            }"""
        )
        return [
            f"{rule['id']}: {rule['help']}: {[node['html'][:160] for node in rule['nodes']]}"
            for rule in found
        ]


def address(fleet: Fleet) -> str:
    """Return the one URL that a trader knows."""
    return fleet.front or fleet.url("dashboard")


def started(user: str, **fields: Any) -> Message:
    """Return the beginning of a session."""
    return {
        "type": "session_started",
        "userId": user,
        "sessionId": f"s-{user}",
        "algorithmId": "momentum-1",
        "symbols": ["SPY", "QQQ"],
        "initialEquity": 100_000,
        "lossLimit": 1000,
    } | fields


def status(user: str, pnl: float, **fields: Any) -> Message:
    """Return where a session stands."""
    return {
        "type": "session_status",
        "userId": user,
        "sessionId": f"s-{user}",
        "status": "active",
        "data": {
            "currentPnL": pnl,
            "equity": 100_000 + pnl,
            "totalTrades": 18,
            "lossLimitUtilization": max(0.0, -pnl / 10),
            "timeElapsed": 5400,
            "performanceScore": 61,
        },
    } | fields
