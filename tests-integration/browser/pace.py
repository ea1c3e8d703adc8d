"""How soon the page is there: first paint, first figures, from a cold and from a warm cache.

PYTHONPATH=tests-integration .venv/bin/python -m browser.pace [--json figures.json]

Starts a fleet of its own; wants a machine that does nothing else.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from engines import Fleet, start
from playwright.async_api import Browser

from browser import chromium
from browser.desk import Desk
from browser.weight import weigh

ROUNDS = 7
GOALS = {"first_paint": 1000, "first_quote": 2500}  # ms, cold: what people take for at once

SINCE = """() => new Promise((resolve) => {
  const look = () => {
    const cell = document.querySelector('[data-testid="last"]');
    if (!cell || !/\\d/.test(cell.textContent)) return requestAnimationFrame(look);
    const paint = performance.getEntriesByName('first-contentful-paint')[0];
    resolve({first_paint: paint.startTime, first_quote: performance.now()});
  };
  look();
})"""


async def measure(browser: Browser, fleet: Fleet) -> dict:
    """Open the desk, signed in, some times over; return the figures in ms and bytes."""
    rounds: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
    for _ in range(ROUNDS):
        context = await browser.new_context(viewport={"width": 1440, "height": 900})
        desk = Desk(await context.new_page(), fleet, "alice")
        identity = json.dumps({"token": fleet.token("alice")})
        await desk.page.add_init_script(
            f"sessionStorage.setItem('tapewire.identity', {json.dumps(identity)})"
        )
        for cache in rounds:
            await desk.open()
            rounds[cache].append(await desk.page.evaluate(SINCE))
            if cache == "cold":
                weight = await weigh(desk.page)
        await context.close()
    return {
        "what": "the dashboard's first paint and first quote after its URL was opened, signed in",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}, "
        f"Chromium {browser.version}, on the same machine as the fleet",
        "rounds": ROUNDS,
        **{
            f"{cache}_{figure}_ms": round(statistics.median(one[figure] for one in taken))
            for cache, taken in rounds.items()
            for figure in GOALS
        },
        "code_bytes": dict(sorted(weight.files.items())),
        "code_bytes_together": weight.total,
    }


async def main() -> dict:
    """Measure and print; return the figures."""
    found = chromium.find()
    if found is None:
        raise SystemExit("there is no Chromium here")
    with tempfile.TemporaryDirectory() as directory:
        fleet = start("process", Path(directory))
        try:
            async with chromium.running(found) as browser:
                figures = await measure(browser, fleet)
        finally:
            fleet.close()
    print(json.dumps(figures, indent=2))
    for figure, goal in GOALS.items():
        taken = figures[f"cold_{figure}_ms"]
        print(f"{figure}: {taken} ms, goal {goal} ms: {'met' if taken <= goal else 'MISSED'}")
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    taken = asyncio.run(main())
    if options.json:
        options.json.write_text(json.dumps(taken, indent=2) + "\n")
