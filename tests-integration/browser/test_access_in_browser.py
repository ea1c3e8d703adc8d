"""Everything can be reached without a mouse, and is what it says to a screen reader."""

import pytest
from plain import alert, decision, publish
from playwright.async_api import expect

from browser.desk import PATIENCE_MS, started, status

PHONE = {"width": 390, "height": 844}


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_no_state_of_the_page_has_an_axe_violation(fleet, new_desk, user, theme):
    desk = await new_desk(sign_in=False, reduced_motion="reduce")
    await desk.page.add_init_script(
        f"localStorage.setItem('tapewire.appearance', JSON.stringify({{theme: '{theme}'}}))"
    )
    found = {}

    async def look(state):
        if violations := await desk.violations():
            found[state] = violations

    await desk.open()
    await expect(desk.button("Sign in")).to_be_visible()
    await look("signed out")
    await desk.sign_in()
    await expect(desk.quotes.first.get_by_test_id("last")).not_to_be_empty(timeout=PATIENCE_MS)
    await look("empty")
    await publish(fleet, started(user), status(user, -412.5), decision(user, 1))
    await publish(fleet, alert(user, 1, "warning"))
    await expect(desk.page.get_by_test_id("decision")).to_be_visible(timeout=PATIENCE_MS)
    await expect(desk.alerts).to_be_visible(timeout=PATIENCE_MS)
    await expect(desk.page.get_by_test_id("chart")).to_be_visible(timeout=PATIENCE_MS)
    await look("live")
    await desk.open_preferences()
    await desk.page.get_by_label("Keep quiet hours").check()
    await look("preferences")
    await desk.button("Cancel").click()
    await desk.page.set_viewport_size(PHONE)
    await look("phone")
    await publish(fleet, alert(user, 2), alert(user, 3, "emergency"))
    await expect(desk.dialog).to_contain_text("and 1 more", timeout=PATIENCE_MS)
    await look("critical alerts, phone")
    await desk.page.set_viewport_size({"width": 1024, "height": 768})
    await look("critical alerts")
    await desk.button("Later").click()
    await look("banner")
    await desk.button("STOP").click()
    await look("STOP")
    await desk.button("Stop 1 session").click()
    await expect(desk.button("Done")).to_be_visible(timeout=PATIENCE_MS)
    await look("stop ordered")
    await desk.button("Done").click()
    await expect(desk.dialog).to_be_hidden()
    await desk.context.set_offline(True)
    await desk.until("offline")
    await look("offline")
    assert found == {}


async def test_a_day_at_the_desk_needs_no_mouse(fleet, new_desk, user):
    desk = await new_desk(sign_in=False)
    keyboard = desk.page.keyboard
    await desk.open()
    field = desk.page.get_by_role("textbox")
    await expect(field).to_be_focused(timeout=PATIENCE_MS)
    is_demo = await desk.page.get_by_label("Trader", exact=True).is_visible()
    await keyboard.press("ControlOrMeta+a")
    await keyboard.insert_text(user if is_demo else fleet.token(user))
    await keyboard.press("Tab")
    await keyboard.press("Enter")
    await desk.until("connected")
    await publish(fleet, started(user), status(user, -412.5))
    await expect(desk.page.get_by_test_id("session")).to_be_visible(timeout=PATIENCE_MS)

    async def tab_to(name):
        for _ in range(40):
            await keyboard.press("Tab")
            if (await desk.focused()).startswith(name):
                return
        raise AssertionError(f"Tab does not come to {name!r}")

    await tab_to("STOP")
    await keyboard.press("Enter")
    await expect(desk.button("Stop 1 session")).to_be_focused(timeout=PATIENCE_MS)
    await keyboard.press("Escape")
    await expect(desk.button("STOP")).to_be_focused()

    await publish(fleet, alert(user, 1))
    await desk.until_dialog_listens()
    assert await desk.focused() == "Acknowledge"
    for _ in range(4):  # round and round, and never behind the dialog
        await keyboard.press("Tab")
        assert await desk.focused() in {"Later", "Acknowledge"}
    await keyboard.press("Enter" if await desk.focused() == "Acknowledge" else "Tab")
    if await desk.dialog.is_visible():
        await keyboard.press("Enter")
    await expect(desk.dialog).to_be_hidden(timeout=PATIENCE_MS)
    await expect(desk.alerts).to_have_attribute("data-ack", "acknowledged")
