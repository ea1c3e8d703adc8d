"""Takes `docs/screenshots`: every state of the dashboard, on a fleet started for it.

PYTHONPATH=tests-integration .venv/bin/python -m browser.gallery [--only desk-dark,offline]
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

from engines import Fleet, start
from PIL import Image
from playwright.async_api import Browser, Locator, Page, expect

from browser import chromium
from browser.desk import PATIENCE_MS, ROOT, Desk
from browser.story import SESSIONS, Story

SHOTS = ROOT / "docs" / "screenshots"
WIDE = {"width": 1440, "height": 900}
TABLET = {"width": 1024, "height": 768}
PHONE = {"width": 390, "height": 844}
USER = "alice"
MAX_BYTES = 200_000

Scene = Callable[["Gallery"], Awaitable[None]]
SCENES: dict[str, Scene] = {}


def scene(function: Scene) -> Scene:
    """Register a picture under its function's name."""
    SCENES[function.__name__.replace("_", "-")] = function
    return function


class Gallery:
    """The fleet, the browser, and where pictures go."""

    def __init__(self, fleet: Fleet, browser: Browser, story: Story) -> None:
        self.fleet = fleet
        self.story = story
        self._browser = browser

    @asynccontextmanager
    async def visitor(
        self,
        user: str = USER,
        *,
        theme: str = "dark",
        palette: str = "classic",
        size: dict = WIDE,
    ):
        """A device of its own, before its first page."""
        context = await self._browser.new_context(viewport=size, reduced_motion="reduce")
        looks = json.dumps({"theme": theme, "palette": palette})
        await context.add_init_script(
            f"localStorage.getItem('tapewire.appearance') ?? "
            f"localStorage.setItem('tapewire.appearance', {json.dumps(looks)})"
        )
        try:
            yield Desk(await context.new_page(), self.fleet, user)
        finally:
            await context.close()

    @asynccontextmanager
    async def at_the_desk(self, user: str = USER, **looks):
        """A signed-in visitor whose figures have come and whose chart is drawn."""
        async with self.visitor(user, **looks) as desk:
            await desk.sign_in()
            last = desk.quotes.first.get_by_test_id("last")
            await expect(last).not_to_be_empty(timeout=PATIENCE_MS)
            if user == USER:
                await expect(desk.page.get_by_test_id("session")).to_have_count(
                    3, timeout=PATIENCE_MS
                )
                canvas = desk.page.get_by_test_id("chart").locator("canvas").first
                await expect(canvas).to_be_visible(timeout=PATIENCE_MS)
            await desk.page.wait_for_timeout(3000)  # ages and rhythms settle; toasts of old go
            yield desk


async def shoot(of: Page | Locator, name: str, **options) -> None:
    """Take a picture, in 256 colours if it would be large; refuse one that is all the same."""
    path = SHOTS / f"{name}.png"
    await (of if isinstance(of, Page) else of.page).mouse.move(0, 0)  # no hair cross, no hover
    taken = Image.open(BytesIO(await of.screenshot(**options)))
    picture = taken.convert("RGB")
    picture.save(path, optimize=True)
    if path.stat().st_size > MAX_BYTES:
        # Not by the median: it would lose the few dots of green and red for shades of grey.
        few = picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}  {size // 1000} kB", flush=True)
    if size > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES // 1000} kB")


@scene
async def signed_out(gallery: Gallery) -> None:
    async def as_the_demo(route):
        answer = await route.fetch()
        await route.fulfill(json=await answer.json() | {"demo": {"userId": USER}})

    async with gallery.visitor() as desk:
        await desk.page.route("**/config.json", as_the_demo)
        await desk.open()
        await desk.button("Sign in").wait_for()
        await shoot(desk.page, "signed-out")


@scene
async def desk_dark(gallery: Gallery) -> None:
    async with gallery.at_the_desk() as desk:
        await shoot(desk.page, "desk-dark")


@scene
async def desk_light(gallery: Gallery) -> None:
    async with gallery.at_the_desk(theme="light") as desk:
        await shoot(desk.page, "desk-light")


@scene
async def palette(gallery: Gallery) -> None:
    async with gallery.at_the_desk(palette="blue-orange") as desk:
        await shoot(desk.page, "palette")


@scene
async def desk_tablet(gallery: Gallery) -> None:
    async with gallery.at_the_desk(size=TABLET) as desk:
        await shoot(desk.page, "desk-tablet")


@scene
async def desk_phone(gallery: Gallery) -> None:
    async with gallery.at_the_desk(size=PHONE) as desk:
        await shoot(desk.page, "desk-phone", full_page=True)


@scene
async def empty(gallery: Gallery) -> None:
    async with gallery.at_the_desk("nobody-yet") as desk:
        await shoot(desk.page, "empty")


@scene
async def loading(gallery: Gallery) -> None:
    async with gallery.visitor() as desk:
        await desk.page.route("**/v1/sessions**", lambda route: None)
        await desk.page.route("**/v1/notifications**", lambda route: None)
        await desk.page.route("**/v1/quotes**", lambda route: None)
        await desk.page.route_web_socket("**/ws**", lambda ws: None)
        await desk.sign_in(until="connecting")
        await desk.page.wait_for_timeout(500)
        await shoot(desk.page, "loading")


@scene
async def desk_unavailable(gallery: Gallery) -> None:
    async with gallery.visitor() as desk:
        for path in ("sessions", "notifications", "account", "decisions", "bars"):
            await desk.page.route(
                f"**/v1/{path}**",
                lambda route: route.fulfill(status=503, json={"message": "The database is away."}),
            )
        await desk.sign_in()
        await desk.page.wait_for_timeout(6000)  # after the last of its tries
        await shoot(desk.page, "desk-unavailable")


@scene
async def error(gallery: Gallery) -> None:
    async with gallery.visitor() as desk:
        await desk.page.route("**/config.json", lambda route: route.fulfill(status=502))
        await desk.open()
        await desk.button("Try again").wait_for()
        await shoot(desk.page, "error")


@scene
async def preferences(gallery: Gallery) -> None:
    async with gallery.at_the_desk() as desk:
        await desk.open_preferences()
        await desk.page.get_by_label("Keep quiet hours").check()
        await shoot(desk.page, "preferences")


@scene
async def stop(gallery: Gallery) -> None:
    async with gallery.at_the_desk() as desk:
        await desk.button("STOP").click()
        await desk.dialog.wait_for()
        await shoot(desk.page, "stop")


@scene
async def offline(gallery: Gallery) -> None:
    async with gallery.at_the_desk() as desk:
        await desk.context.set_offline(True)
        await desk.until("offline")
        await desk.page.wait_for_timeout(6000)
        await shoot(desk.page, "offline")


@scene
async def stale(gallery: Gallery) -> None:
    async with gallery.at_the_desk() as desk:
        await gallery.fleet.stop("market")
        try:
            await desk.page.wait_for_timeout(9000)
            await shoot(desk.page, "stale")
        finally:
            await gallery.fleet.start("market")


@scene
async def notification_centre(gallery: Gallery) -> None:
    await gallery.story.alert("warning")
    async with gallery.at_the_desk() as desk:
        await desk.page.get_by_text("Maintenance on Saturday").wait_for()
        await desk.page.get_by_role("button", name="Mark read:").last.click()
        panel = desk.page.get_by_role("region", name="Alerts and notifications")
        await desk.page.wait_for_timeout(10_000)  # until the toasts have gone
        await shoot(panel, "notification-centre")


@scene
async def toast(gallery: Gallery) -> None:
    async with gallery.at_the_desk() as desk:
        await gallery.story.alert("warning")
        await desk.page.locator("[data-sonner-toast]").first.wait_for()
        await desk.page.wait_for_timeout(500)
        await shoot(desk.page, "toast")


@scene
async def critical_alert(gallery: Gallery) -> None:
    """Near the end: what it raises stays."""
    async with gallery.at_the_desk() as desk:
        await gallery.story.alert("critical")
        await desk.until_dialog_listens()
        await shoot(desk.page, "critical-alert")
        await gallery.story.alert("emergency")
        await expect(desk.dialog).to_contain_text("and 1 more", timeout=PATIENCE_MS)
        await shoot(desk.page, "emergency")
        await desk.page.set_viewport_size(PHONE)
        await shoot(desk.page, "emergency-phone")
        await desk.page.set_viewport_size(WIDE)
        await desk.until_dialog_listens()
        await desk.button("Later").click()
        await shoot(desk.page, "banner")
        for number in range(12):
            await gallery.story.alert("critical", sessionId=list(SESSIONS)[number % 2])
        await gallery.story.alert("critical", alertType="correlation", message="SPY and QQQ")
        await expect(desk.dialog).to_contain_text("and 14 more", timeout=PATIENCE_MS)
        await desk.until_dialog_listens()
        await shoot(desk.page, "many-alerts")
        await desk.button("Acknowledge all 15").click()
        await expect(desk.banner).to_be_hidden(timeout=PATIENCE_MS)


@scene
async def stop_ordered(gallery: Gallery) -> None:
    """The last: nothing of the story trades any more."""
    async with gallery.at_the_desk() as desk:
        await desk.button("STOP").click()
        await desk.button("Stop 2 sessions").click()
        await expect(desk.banner).to_contain_text("2 emergencies", timeout=PATIENCE_MS)
        await shoot(desk.page, "stop-ordered")
        await desk.button("Done").click()


async def main(only: list[str]) -> None:
    """Start a fleet, tell it a story, take the pictures."""
    path = chromium.find()
    if path is None:
        raise SystemExit("there is no Chromium here")
    SHOTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        fleet = start("process", Path(directory))
        try:
            async with chromium.running(path) as browser:
                story = Story(fleet, USER)
                await story.begin()
                async with asyncio.TaskGroup() as group:
                    going_on = group.create_task(story.go_on())
                    await asyncio.sleep(45)  # so that the chart has prices of before
                    gallery = Gallery(fleet, browser, story)
                    for name in only or SCENES:
                        await SCENES[name](gallery)
                    going_on.cancel()
        finally:
            fleet.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    asyncio.run(main(parser.parse_args().only))
