"""`python -m faults`: see the package."""

import argparse
import asyncio
import logging
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import engines
from engines.attached import attach

from faults import campaign
from faults.cluster import ClusterFleet
from faults.faults_table import CLUSTER_FAULTS, FAULTS, named
from faults.world import CAMPAIGN_CAST, World

QUICK = {
    # Half-open sockets and forgotten acks are noticed in seconds, so that rounds are short.
    "TAPEWIRE_EDGE_HEARTBEAT_INTERVAL_S": "4",
    "TAPEWIRE_EDGE_HEARTBEAT_GRACE_S": "4",
    "TAPEWIRE_EDGE_ACK_DEADLINE_S": "5",
    "TAPEWIRE_EDGE_DRAIN_WINDOW_S": "1",
    "TAPEWIRE_LOG_LEVEL": "INFO",
}


def main() -> int:
    """Run a campaign; 0 when the promise held."""
    parser = argparse.ArgumentParser(prog="python -m faults", description="Strike and audit.")
    parser.add_argument("--fleet", type=Path, metavar="PATH", help="a running fleet's fleet.json")
    parser.add_argument("--engine", choices=engines.ENGINES, default="process")
    parser.add_argument("--cluster", action="store_true", help="three RabbitMQ 4 nodes")
    parser.add_argument("--only", help="faults, comma-separated")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--repeat", type=int, default=1, help="the faults, so many times")
    parser.add_argument("--crowd", type=int, default=2, help="users of each sort")
    parser.add_argument("--keep", type=Path, help="directory for logs and records")
    parser.add_argument("--rows", type=Path, metavar="PATH", help="append README.md's rows here")
    parser.add_argument("--list", action="store_true", help="name the faults, and end")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(fault.name for fault in FAULTS))
        return 0
    faults = CLUSTER_FAULTS if arguments.cluster else FAULTS
    if arguments.only:
        faults = tuple(named(name.strip()) for name in arguments.only.split(","))
    print(f"seed {arguments.seed}", file=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("faults: terminated"))  # leave nothing behind
    logging.disable(logging.ERROR)  # lost connections are what this is about
    with ExitStack() as stack:
        directory = arguments.keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="tapewire-faults-"))
        )
        directory.mkdir(parents=True, exist_ok=True)
        os.environ.update({name: os.environ.get(name, value) for name, value in QUICK.items()})
        if arguments.fleet:
            fleet = stack.enter_context(closing(attach(arguments.fleet)))
        elif arguments.cluster:
            brokers = stack.enter_context(closing(ClusterFleet(directory)))
            fleet = brokers.up()
        else:
            fleet = stack.enter_context(closing(engines.start(arguments.engine, directory)))
        outcome = asyncio.run(_strike(fleet, directory, faults, arguments))
    print(campaign.table(outcome))
    return 0 if outcome.holds else 1


async def _strike(fleet, directory, faults, arguments) -> campaign.Outcome:
    name = f"u{secrets.token_hex(2)}"
    more = {"name": name, "seed": arguments.seed, "crowd": arguments.crowd}
    world = World(fleet, directory, cast=CAMPAIGN_CAST, **more)
    await world.open()
    code = subprocess.run(  # noqa: ASYNC221
        ("git", "rev-parse", "--short", "HEAD"), capture_output=True, text=True, check=False
    ).stdout.strip()

    def keep(row: campaign.Row) -> None:
        if arguments.rows:
            with arguments.rows.open("a") as rows:
                print(campaign.markdown(row, arguments.seed, code), file=rows)

    try:
        return await campaign.run(world, faults * arguments.repeat, seed=arguments.seed, ended=keep)
    finally:
        if arguments.keep:
            world.book.dump(directory / "book.jsonl")
        await world.close()


if __name__ == "__main__":
    sys.exit(main())
