"""STOP reaches the executors, also where there is no socket."""

import pytest
from plain import connected, publish
from playwright.async_api import expect

from browser.desk import PATIENCE_MS, started, status


async def press_stop(desk):
    await desk.button("STOP").click()
    await desk.page.get_by_label("Reason (optional)").fill("It looks wrong")
    await desk.button("Stop 1 session").click()
    await expect(desk.page.get_by_role("alertdialog", name="Stop ordered")).to_be_visible(
        timeout=PATIENCE_MS
    )


@pytest.mark.parametrize("socket", [True, False], ids=["with_a_socket", "without_a_socket"])
async def test_stop_is_ordered(fleet, new_desk, user, socket):
    await publish(fleet, started(user), status(user, -412.5))
    desk = await new_desk(sign_in=False)
    blocked = []
    if not socket:
        # Nothing of the connection gets through; plain requests do.
        await desk.page.route_web_socket(
            "**/ws**", lambda ws: blocked.append(ws) or ws.close(code=1006)
        )
        await desk.page.route("**/v1/stream**", lambda route: route.abort())
        await desk.page.route("**/v1/poll**", lambda route: route.abort())
    await desk.sign_in(until="connected" if socket else "reconnecting")
    await expect(desk.page.get_by_test_id("session")).to_be_visible(timeout=PATIENCE_MS)
    async with connected(fleet, user, clientId="executor", inbox="own") as executor:
        await press_stop(desk)
        order = (await executor.until("emergency_stop"))[0]
    assert (order["sessionId"], order["reason"]) == (f"s-{user}", "It looks wrong")
    assert bool(blocked) is not socket
    if socket:
        await expect(desk.banner).to_be_visible(timeout=PATIENCE_MS)
    await desk.button("Done").click()
    await expect(desk.dialog).to_be_hidden()
    if socket:  # whoever has read "Stop ordered" is not asked once more
        await expect(desk.banner).to_be_hidden(timeout=PATIENCE_MS)
