"""What a trader prefers holds on every device, and at once."""

from plain import publish
from playwright.async_api import expect

from browser.desk import PATIENCE_MS


def notice(user, title):
    return {
        "type": "system_notification",
        "userId": user,
        "level": "info",
        "category": "system",
        "title": title,
        "message": "It is of no great weight.",
    }


async def test_preferences_hold_on_every_device(fleet, new_desk, user):
    first, phone = await new_desk(), await new_desk(viewport={"width": 390, "height": 844})
    toasts = phone.page.locator("[data-sonner-toast]")
    await publish(fleet, notice(user, "Before"))
    await expect(toasts.filter(has_text="Before")).to_be_visible(timeout=PATIENCE_MS)

    await first.open_preferences()
    await first.page.get_by_role("combobox", name="Notices", exact=True).select_option("critical")
    await first.button("Save").click()
    await expect(first.page.get_by_role("dialog", name="Preferences")).to_be_hidden()

    await phone.open_preferences()
    notices = phone.page.get_by_role("combobox", name="Notices", exact=True)
    await expect(notices).to_have_value("critical", timeout=PATIENCE_MS)
    await phone.button("Close").click()
    await publish(fleet, notice(user, "After"))
    await first.page.reload()  # history has it, though nobody was told
    await expect(first.alerts).to_have_count(2, timeout=PATIENCE_MS)
    await expect(toasts.filter(has_text="After")).to_have_count(0)
