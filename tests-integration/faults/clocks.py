"""Wall clocks that step: services run under libfaketime, and one of them is put on or back.

The monotonic clock stays as it is, as in a machine whose time is set. So deadlines must hold, and
only what is wall time by nature, such as a token's expiry, may change.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from faults.target import Absent

if TYPE_CHECKING:
    from faults.world import World

ROOT = Path(__file__).parents[2]
LIBRARY = "libfaketimeMT.so.1"
PLACES = (ROOT / ".tools", *Path("/usr/lib").glob("*/faketime"))
NODES = ("edge-1", "ingest", "desk", "risk")
STEPS_S = (3600, -3600, 0)
NOTICED_S = 1.0  # how long libfaketime goes on with what it has read


@asynccontextmanager
async def stepping(world: "World") -> AsyncIterator[dict[str, Path]]:
    """Run services with clocks that can be set meanwhile; yields the file of each.

    Raises:
        Absent: libfaketime is not here.
    """
    library = next((place / LIBRARY for place in PLACES if (place / LIBRARY).exists()), None)
    if library is None:
        raise Absent(f"{LIBRARY} is not here (infra/setup tools)")
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="tapewire-clocks-")))
        files = {node: directory / node for node in NODES}
        for node, file in files.items():
            file.write_text("+0\n")
            environment = {
                "LD_PRELOAD": str(library),
                "FAKETIME_TIMESTAMP_FILE": str(file),
                "FAKETIME_CACHE_DURATION": str(int(NOTICED_S)),
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                # Else waiting threads spin: a commit of SQLite takes 20 ms, not 0.7 (measured).
                "FAKETIME_FORCE_MONOTONIC_FIX": "0",
                # An hour that nobody lived through is silence to risk, and it would rightly say so.
                "TAPEWIRE_RISK_STALE_AFTER_S": "100000",
                "TAPEWIRE_RISK_REPEAT_MOST": "0",  # likewise: nobody could acknowledge in it
            }
            await stack.enter_async_context(world.target.substitute(node, environment=environment))
        yield files


async def strike(world: "World", rng: Random, files: dict[str, Path]) -> None:
    """Set one clock to another hour, two at most from where it was."""
    file = files[rng.choice(NODES)]
    now = int(file.read_text())
    file.write_text(f"{rng.choice([step for step in STEPS_S if step != now]):+d}\n")
    await asyncio.sleep(NOTICED_S + rng.uniform(0, 1))
