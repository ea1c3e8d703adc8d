"""A critical alert cannot be missed: not offline, not by a reload, not on another device."""

import re

from plain import alert, publish
from playwright.async_api import expect

from browser.desk import PATIENCE_MS


async def test_an_alert_raised_while_offline_stays_until_it_is_acknowledged(fleet, desk, user):
    await desk.context.set_offline(True)
    await desk.until("offline")
    await publish(fleet, alert(user, 1))
    await desk.context.set_offline(False)
    await desk.until_dialog_listens()
    await expect(desk.dialog).to_contain_text("number 1")
    assert await desk.focused() == "Acknowledge"

    await desk.page.reload()
    await desk.until_dialog_listens()
    await desk.button("Later").click()
    await expect(desk.dialog).to_be_hidden()
    await expect(desk.banner).to_be_visible()
    await desk.button("Review").click()

    await desk.until_dialog_listens()
    await desk.acknowledge()
    await expect(desk.banner).to_be_hidden()
    await expect(desk.alerts).to_have_attribute("data-ack", "acknowledged")
    await desk.page.reload()
    await desk.until("connected")
    await expect(desk.alerts).to_have_attribute("data-ack", "acknowledged", timeout=PATIENCE_MS)
    await expect(desk.banner).to_be_hidden()


async def test_an_acknowledgement_holds_in_every_tab_and_on_every_device(fleet, new_desk, user):
    first = await new_desk()
    tab = await new_desk(beside=first)
    phone = await new_desk(viewport={"width": 390, "height": 844})
    await publish(fleet, alert(user, 1))
    for each in (first, tab, phone):
        await expect(each.dialog).to_be_visible(timeout=PATIENCE_MS)
    await phone.until_dialog_listens()
    await phone.acknowledge()
    for each in (first, tab, phone):
        await expect(each.dialog).to_be_hidden(timeout=PATIENCE_MS)
        await expect(each.banner).to_be_hidden()


async def test_tabs_and_devices_agree_on_what_is_unread(fleet, new_desk, user):
    first = await new_desk()
    tab = await new_desk(beside=first)
    phone = await new_desk(viewport={"width": 390, "height": 844})
    everywhere = (first, tab, phone)
    notices = [alert(user, number, "warning") for number in range(3)]
    await publish(fleet, *notices)
    for each in everywhere:
        await expect(each.page.get_by_text("3 unread")).to_be_visible(timeout=PATIENCE_MS)
    await first.page.get_by_role("button", name="Mark read: Loss limit").first.click()
    for each in everywhere:
        await expect(each.page.get_by_text("2 unread")).to_be_visible(timeout=PATIENCE_MS)
    await phone.button("Mark all read").click()
    for each in everywhere:
        await expect(each.page.get_by_text(re.compile(r"^\d+ unread"))).to_be_hidden(
            timeout=PATIENCE_MS
        )
        await expect(each.alerts).to_have_count(3)
