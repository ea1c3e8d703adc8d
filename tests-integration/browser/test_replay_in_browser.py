"""Real prices, recorded and played again, are what the page shows."""

import asyncio
import csv

import pytest
from engines import ENGINES, absence, start
from playwright.async_api import expect

from browser.desk import PATIENCE_MS, ROOT, Desk

PRICES = ROOT / "examples" / "prices" / "stocks-2000-2010.csv"
SPEED = "5000000"  # two months in a second: the file is of one price a month

pytestmark = pytest.mark.long


def recorded() -> dict[str, set[float]]:
    """The prices of each symbol."""
    prices: dict[str, set[float]] = {}
    with PRICES.open() as file:
        for row in csv.DictReader(file):
            prices.setdefault(row["symbol"], set()).add(float(row["price"]))
    return prices


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_page_shows_recorded_prices(the_browser, engine, tmp_path, user, monkeypatch):
    if reason := absence(engine):
        pytest.skip(f"NOT TESTED on the engine {engine!r}: {reason}")
    monkeypatch.setenv("TAPEWIRE_MARKET_REPLAY_SPEED", SPEED)
    replaying = await asyncio.to_thread(start, engine, tmp_path, replay=PRICES)
    context = await the_browser.new_context()
    try:
        desk = Desk(await context.new_page(), replaying, user)
        await desk.sign_in()
        known = recorded()
        row = desk.quotes.filter(has=desk.page.get_by_role("button", name="AMZN"))
        await row.get_by_role("button").click()
        await expect(desk.page.get_by_test_id("chart")).to_be_visible(timeout=PATIENCE_MS)
        last = row.get_by_test_id("last")
        await expect(last).not_to_be_empty(timeout=PATIENCE_MS)
        names = [await each.inner_text() for each in await desk.quotes.get_by_role("button").all()]
        assert set(names) <= set(known)
        for _ in range(4):
            shown = await last.inner_text()
            # By value: the page writes small prices with more decimals than large ones.
            assert float(shown.replace(",", "")) in known["AMZN"]
            await expect(last).not_to_have_text(shown, timeout=PATIENCE_MS)
    finally:
        await context.close()
        await asyncio.to_thread(replaying.close)
