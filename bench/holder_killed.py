"""How long a user's alerts stand still when the edge that holds the inbox is killed.

Takes a running fleet with two edges (``tapewire up --edges 2``) from ``.run/fleet.json``. In each
round one device of a new user connects to edge-1, which thereby holds the inbox, and one to
edge-2. An alert goes out every 20 ms; in the middle edge-1 is killed with SIGKILL. The figure is
the longest pause between two alerts at the device on edge-2, less the pace: what its user waited
for. Also counted: alerts that the device did not get, got twice, or got out of order.

    .venv/bin/python bench/holder_killed.py --rounds 7
"""

import argparse
import asyncio
import itertools
import json
import os
import platform
import signal
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tapewire.auth import mint
from tapewire.client import EventPublisher, Message, WebSocketClient

ALERTS = 150
PACE_S = 0.02
KILL_AT = 50  # alerts after which the holder dies
SETTLE_S = 60.0  # for what is still on its way


async def round_of(fleet: dict[str, Any], user: str) -> dict[str, float]:
    """Run one round and return its figures; times in milliseconds."""
    token = mint(fleet["jwt_secret"], user, ttl_s=600)
    first, second = fleet["urls"]["edge"][:2]
    arrived: list[tuple[int, float]] = []
    done = asyncio.Event()
    holder = WebSocketClient(socket_of(first), token=token, max_attempts=1)
    other = WebSocketClient(socket_of(second), token=token)

    @holder.on_message("risk_alert")
    async def at_holder(_: Message[Any]) -> None: ...

    @other.on_message("risk_alert")
    async def at_other(message: Message[Any]) -> None:
        number = int(message.raw["currentValue"])
        arrived.append((number, time.perf_counter()))
        if len({n for n, _ in arrived}) == ALERTS:
            done.set()

    await holder.connect()
    async with other, EventPublisher(fleet["amqp"]) as publisher:
        session = publisher.session("s-bench", user=user)
        sending: list[asyncio.Task[str]] = []
        for number in range(ALERTS):
            sending.append(
                asyncio.create_task(
                    session.emit_risk_alert(
                        level="critical",
                        alert_type="loss_limit",
                        message=f"bench {number}",
                        current_value=number,
                        threshold=0,
                    )
                )
            )
            if number == KILL_AT:
                os.kill(fleet["pids"]["edge-1"], signal.SIGKILL)
            await asyncio.sleep(PACE_S)
        await asyncio.gather(*sending)
        try:
            await asyncio.wait_for(done.wait(), SETTLE_S)
        except TimeoutError:
            print(f"{user}: {ALERTS - len({n for n, _ in arrived})} alerts did not come")
    await holder.disconnect()
    numbers = [n for n, _ in arrived]
    pauses = [b - a for (_, a), (_, b) in itertools.pairwise(arrived)]
    return {
        "pause_ms": 1000 * (max(pauses, default=SETTLE_S) - PACE_S),
        "missing": ALERTS - len(set(numbers)),
        "twice": len(numbers) - len(set(numbers)),
        "out_of_order": sum(b < a for a, b in itertools.pairwise(numbers)),
    }


def socket_of(url: str) -> str:
    """Return the WebSocket URL of an edge's base URL."""
    return url.replace("http", "ws", 1) + "/ws"


async def edge_is_back(record: Path, killed: int) -> dict[str, Any]:
    """Wait until the fleet has started edge-1 again; return its record."""
    async with httpx.AsyncClient() as http, asyncio.timeout(120):
        while True:
            fleet = json.loads(record.read_text())
            if fleet["pids"]["edge-1"] != killed:
                try:
                    if (await http.get(fleet["urls"]["edge"][0] + "/readyz")).status_code == 200:
                        return fleet
                except httpx.HTTPError:
                    pass
            await asyncio.sleep(0.2)


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Pause of a user's alerts when the holder dies.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--fleet", type=Path, default=Path(".run/fleet.json"))
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    fleet = json.loads(options.fleet.read_text())
    rounds: list[dict[str, float]] = []
    for number in range(options.rounds):
        killed = fleet["pids"]["edge-1"]
        rounds.append(await round_of(fleet, f"bench-{os.getpid()}-{number}"))
        print(f"round {number + 1}: {rounds[-1]}", flush=True)
        fleet = await edge_is_back(options.fleet, killed)
    pauses = sorted(r["pause_ms"] for r in rounds)
    result = {
        "what": "pause of a user's alerts when the edge that holds the inbox is killed",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "median_ms": round(statistics.median(pauses), 1),
        "least_ms": round(pauses[0], 1),
        "most_ms": round(pauses[-1], 1),
        "rounds": rounds,
    }
    print(
        f"pause: median {result['median_ms']} ms, {result['least_ms']} to {result['most_ms']} ms;"
        f" missing {sum(r['missing'] for r in rounds):.0f},"
        f" out of order {sum(r['out_of_order'] for r in rounds):.0f} of {ALERTS * len(rounds)}"
    )
    print("goal: within 1000 ms:", "reached" if pauses[-1] < 1000 else "MISSED")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
