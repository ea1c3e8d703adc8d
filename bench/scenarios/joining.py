"""What joining gains: edge and Centrifugo against the batches under way. Draws a plot."""

import asyncio
import sys
from typing import Final

from bench import plots
from bench.crowd import Crowd
from bench.figures import Figure
from bench.peers import centrifugo, tapewire
from bench.peers.peer import Peer
from bench.pump import pump
from bench.scenarios.fan_out import BATCHES, US
from bench.scenarios.growth import row
from bench.scenarios.scenario import Options, Scenario
from bench.servers import NotHere

WINDOWS: Final = (1, 2, 4, 8, 16)  # batches under way
SECONDS: Final = 1.5
PEERS: Final = (Peer(US, tapewire.broadcasting), Peer("Centrifugo", centrifugo.start))


async def run(options: Options) -> list[Figure]:
    """Measure both at each window, and name the window at which the edge is least ahead."""
    curves: dict[tuple[str, int], dict[int, float]] = {}
    for peer in PEERS:
        print(f"  {peer.name}", file=sys.stderr, flush=True)
        try:
            async with peer.start() as hub, Crowd() as crowd:
                await crowd.open(hub.port, hub.scripts(options.connections))
                await asyncio.sleep(0.5)
                for batch in BATCHES:
                    for window in WINDOWS:
                        (one,) = await pump(
                            *(crowd, hub, batch), runs=1, seconds=SECONDS, window=window
                        )
                        curves.setdefault((peer.name, batch), {})[window] = 1e6 / one.cpu_us
        except NotHere as error:
            print(f"  {peer.name} is missing: {error}", file=sys.stderr)
    found = [
        row(f"joining, batches of {batch}: {name}", "deliveries/s/core", curve)
        for (name, batch), curve in curves.items()
    ]
    for batch in BATCHES:
        ours, theirs = curves.get((US, batch)), curves.get(("Centrifugo", batch))
        if ours and theirs:
            ratios = {window: ours[window] / theirs[window] for window in ours}
            least = min(ratios, key=ratios.__getitem__)
            name = f"joining, batches of {batch}: edge / Centrifugo, least of all windows"
            found.append(Figure(name, "times", (ratios[least],), notes={"window": least}))
    if options.keep:
        plots.draw(found)
    return found


JOINING: Final = Scenario("joining", "full", run)
