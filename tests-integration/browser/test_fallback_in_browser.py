"""Where no WebSocket passes, the page goes on over a stream."""

from plain import alert, publish
from playwright.async_api import expect

from browser.desk import PATIENCE_MS, started, status


async def test_the_desk_goes_on_over_a_stream_when_no_websocket_opens(fleet, new_desk, user):
    desk = await new_desk(sign_in=False)
    blocked = []
    await desk.page.route_web_socket(
        "**/ws**", lambda ws: blocked.append(ws) or ws.close(code=1006)
    )
    await desk.sign_in()
    assert blocked
    await expect(desk.connection).to_contain_text("SSE", timeout=PATIENCE_MS)
    last = desk.quotes.first.get_by_test_id("last")
    await expect(last).not_to_be_empty(timeout=PATIENCE_MS)
    before = await last.inner_text()
    await expect(last).not_to_have_text(before, timeout=PATIENCE_MS)

    await publish(fleet, started(user), status(user, -412.5), alert(user, 1))
    await expect(desk.page.get_by_test_id("session")).to_be_visible(timeout=PATIENCE_MS)
    await desk.until_dialog_listens()
    await desk.acknowledge()
    await expect(desk.banner).to_be_hidden(timeout=PATIENCE_MS)
    await desk.page.reload()
    await desk.until("connected")
    await expect(desk.alerts).to_have_attribute("data-ack", "acknowledged", timeout=PATIENCE_MS)
