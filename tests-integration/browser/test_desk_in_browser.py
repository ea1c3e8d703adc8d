"""What happens is seen, without a reload."""

from plain import decision, publish
from playwright.async_api import expect

from browser.desk import PATIENCE_MS, started, status


async def test_quotes_move_without_a_reload(desk):
    last = desk.quotes.first.get_by_test_id("last")
    await expect(last).not_to_be_empty(timeout=PATIENCE_MS)
    await desk.page.evaluate("() => { globalThis.sameDocument = true }")
    for _ in range(2):
        before = await last.inner_text()
        await expect(last).not_to_have_text(before, timeout=PATIENCE_MS)
    assert await desk.page.evaluate("() => globalThis.sameDocument")


async def test_a_session_its_figures_and_a_decision_arrive(fleet, desk, user):
    await expect(desk.page.get_by_text("No sessions yet")).to_be_visible()
    await publish(fleet, started(user), status(user, -412.5), decision(user, 1))
    card = desk.page.get_by_test_id("session")
    await expect(card).to_contain_text("\N{MINUS SIGN}412.50", timeout=PATIENCE_MS)
    await expect(card.get_by_role("meter")).to_have_attribute("aria-valuenow", "41.25")
    row = desk.page.get_by_test_id("decision")
    for text in ("Buy", "SPY", "512.31", "80 %", "momentum turned positive"):
        await expect(row).to_contain_text(text, timeout=PATIENCE_MS)
    await expect(desk.page.get_by_test_id("equity")).to_have_text("99,587.50")
    await expect(desk.page.get_by_test_id("chart").locator("canvas").first).to_be_visible()

    await publish(fleet, status(user, 120))
    await expect(card).to_contain_text("+120.00", timeout=PATIENCE_MS)


async def test_figures_say_how_old_they_are_when_the_network_is_gone(fleet, desk, user):
    await publish(fleet, started(user), status(user, -412.5))
    card = desk.page.get_by_test_id("session")
    await expect(card).to_contain_text("\N{MINUS SIGN}412.50", timeout=PATIENCE_MS)
    await expect(desk.quotes.first).to_have_attribute("data-stale", "false", timeout=PATIENCE_MS)
    await desk.context.set_offline(True)
    await desk.until("offline")
    await expect(desk.quotes.first).to_have_attribute("data-stale", "true")
    await expect(card).to_contain_text(" ago", timeout=PATIENCE_MS)
    await expect(desk.quotes.first).to_contain_text(" s")
    await expect(desk.button("Mark all read")).to_be_disabled()
    await expect(desk.button("STOP")).to_be_enabled()
    await desk.context.set_offline(False)
    await desk.until("connected")
    await expect(desk.quotes.first).to_have_attribute("data-stale", "false", timeout=PATIENCE_MS)
