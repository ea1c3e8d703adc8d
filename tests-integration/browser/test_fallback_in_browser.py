"""Behind a proxy that lets no WebSocket through, the page goes on by stream or by polls."""

import pytest
from office_proxy import office_proxy
from plain import alert, publish
from playwright.async_api import expect

from browser.desk import PATIENCE_MS, started, status


async def until_quotes_move(desk):
    last = desk.quotes.first.get_by_test_id("last")
    await expect(last).not_to_be_empty(timeout=PATIENCE_MS)
    before = await last.inner_text()
    await expect(last).not_to_have_text(before, timeout=PATIENCE_MS)


async def raise_and_acknowledge(fleet, desk, number):
    await publish(fleet, alert(desk.user, number))
    await desk.until_dialog_listens()
    await expect(desk.dialog).to_contain_text(f"number {number}")
    await desk.acknowledge()
    await expect(desk.banner).to_be_hidden(timeout=PATIENCE_MS)


@pytest.mark.parametrize(
    ("streams", "transport"), [(True, "SSE"), (False, "long-poll")], ids=["stream", "polls"]
)
async def test_the_desk_goes_on_without_a_websocket_and_returns_to_one(
    fleet, new_desk, user, streams, transport
):
    async with office_proxy(websockets=False, streams=streams) as proxy:
        desk = await new_desk(sign_in=False, proxy={"server": proxy.url})
        await desk.sign_in()
        assert proxy.refused >= 2
        await expect(desk.connection).to_contain_text(transport, timeout=PATIENCE_MS)
        assert (proxy.cut > 0) is not streams
        await until_quotes_move(desk)
        await publish(fleet, started(user), status(user, -412.5))
        await expect(desk.page.get_by_test_id("session")).to_be_visible(timeout=PATIENCE_MS)
        await raise_and_acknowledge(fleet, desk, 1)

        # The laptop is carried to another network. Without that, a WebSocket is tried in 5 min.
        proxy.websockets = True
        await desk.context.set_offline(True)
        await desk.until("offline")
        await publish(fleet, alert(user, 2))
        await desk.context.set_offline(False)
        await expect(desk.connection).to_contain_text("WebSocket", timeout=PATIENCE_MS)
        await desk.until_dialog_listens()
        await desk.acknowledge()
        await until_quotes_move(desk)
        await raise_and_acknowledge(fleet, desk, 3)
        await expect(desk.alerts).to_have_count(3)

        await desk.page.reload()
        await desk.until("connected")
        await expect(desk.alerts).to_have_count(3, timeout=PATIENCE_MS)
        for row in await desk.alerts.all():
            await expect(row).to_have_attribute("data-ack", "acknowledged", timeout=PATIENCE_MS)
        await expect(desk.banner).to_be_hidden()
