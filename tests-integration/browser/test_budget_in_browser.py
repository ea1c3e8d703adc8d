"""How much the page weighs, and that it is there before the heaviest of it has come."""

from playwright.async_api import expect

from browser.desk import PATIENCE_MS
from browser.weight import weigh

KB = 1000
SIGN_IN = 100 * KB  # compressed: React, TanStack Query, the form
DESK = 160 * KB  # with everything but the chart, preferences and fallbacks
CHART = 70 * KB


async def test_the_page_stays_within_its_budget_of_bytes(desk):
    await desk.quotes.first.get_by_role("button").click()
    await expect(desk.page.get_by_test_id("chart")).to_be_visible(timeout=PATIENCE_MS)
    weight = await weigh(desk.page)
    chart = weight.of("DeskChart")
    print(f"\n{weight}")
    assert weight.of("index") <= SIGN_IN
    assert weight.total - chart <= DESK
    assert 0 < chart <= CHART
    assert weight.of("Preferences") == 0, "nobody has asked for them"


async def test_figures_do_not_wait_for_the_chart(new_desk):
    desk = await new_desk(sign_in=False)
    await desk.page.route("**/DeskChart-*.js", lambda route: None)  # it never comes
    await desk.sign_in()
    last = desk.quotes.first.get_by_test_id("last")
    await expect(last).not_to_be_empty(timeout=PATIENCE_MS)
