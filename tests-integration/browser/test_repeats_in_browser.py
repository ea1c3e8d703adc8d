"""An alarm that nobody acknowledged is told again by the whole fleet, and shown once."""

import os

import pytest
import pytest_asyncio
from engines import absence, start
from plain import publish
from playwright.async_api import expect

from browser.conftest import WIDE
from browser.desk import PATIENCE_MS, Desk, started, status

pytestmark = pytest.mark.long  # a fleet of its own, in which an emergency waits for no minute
REPEAT_S = 3


@pytest_asyncio.fixture(loop_scope="session")
async def impatient(the_browser, user, tmp_path, monkeypatch):
    """The dashboard of a fleet whose risk repeats an emergency soon."""
    if reason := absence("process"):
        if os.environ.get("TAPEWIRE_REQUIRE_ENGINE") == "1":
            pytest.fail(f"the engine 'process' was required: {reason}", pytrace=False)
        pytest.skip(f"NOT TESTED on the engine 'process': {reason}")
    monkeypatch.setenv("TAPEWIRE_RISK_REPEAT_EMERGENCY_S", str(REPEAT_S))
    monkeypatch.setenv("TAPEWIRE_RISK_STOP_RULES", "time_limit")  # no stop beside the alarm
    fleet = start("process", tmp_path)
    context = await the_browser.new_context(viewport=WIDE)
    try:
        desk = Desk(await context.new_page(), fleet, user)
        await desk.sign_in()
        yield fleet, desk
    finally:
        await context.close()
        fleet.close()


def emergency(user, name):
    """Two marks past the limit."""
    owner = {"sessionId": f"{name}-{user}"}
    marks = (status(user, -1200) | owner, status(user, -1210) | owner)
    return started(user) | owner, *marks


async def test_an_alarm_is_told_again_in_one_row_with_its_count_until_it_is_acknowledged(
    impatient, user
):
    fleet, desk = impatient
    await publish(fleet, *emergency(user, "first"))
    first = desk.alerts.filter(has_text="first-")
    await expect(first).to_contain_text("told 2 times", timeout=PATIENCE_MS)
    await expect(first).to_have_count(1)
    await expect(desk.banner).to_contain_text("1 emergency waits")
    if pictures := os.environ.get("TAPEWIRE_TEST_PICTURES"):
        await desk.page.screenshot(path=f"{pictures}/repeated.png")
    await desk.until_dialog_listens()
    await desk.acknowledge()
    await expect(desk.dialog).to_be_hidden()
    await expect(first).to_have_attribute("data-ack", "acknowledged", timeout=PATIENCE_MS)
    acknowledged = await first.inner_text()

    await publish(fleet, *emergency(user, "second"))
    second = desk.alerts.filter(has_text="second-")
    # Its third telling is later than the first one's next would have been, and on the same way.
    await expect(second).to_contain_text("told 3 times", timeout=PATIENCE_MS)
    assert await first.inner_text() == acknowledged
    await expect(first).to_have_attribute("data-ack", "acknowledged")
