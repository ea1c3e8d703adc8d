"""``python -m bench``: run benchmarks, print a table, keep the figures in ``bench/results``.

python -m bench --list
python -m bench --quick
python -m bench --only fan-out,market --runs 3
"""

import argparse
import asyncio
import logging
import signal
import sys
import time
import traceback

from bench import machine, network, report
from bench.figures import Figure
from bench.scenarios import ALL
from bench.scenarios.scenario import Options


def main() -> int:
    """Run what was asked for; 0 also when goals were missed: the table says so."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="what takes two minutes in all")
    parser.add_argument("--only", help="scenarios, comma-separated")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    parser.add_argument("--readme", action="store_true", help="put results into README.md")
    parser.add_argument("--runs", type=int, help="of each measurement")
    parser.add_argument("--seconds", type=float, help="of each run")
    parser.add_argument("--connections", type=int, help="of a fan-out")
    parser.add_argument("--peers", help="of a fan-out, comma-separated parts of names; else all")
    parser.add_argument("--keep", action="store_true", help="write bench/results (quick: not)")
    parser.add_argument(
        "--machines-network",
        action="store_true",
        help="stay in the machine's network, whose firewall may cost every packet",
    )
    asked = parser.parse_args()
    if asked.list:
        for one in ALL:
            print(f"{one.name:16}{one.when}")
        return 0
    if asked.readme:
        report.write_readme()
        return 0
    base = Options(runs=3, seconds=2.0, quick=True) if asked.quick else Options()
    options = base._replace(
        **{
            name: value
            for name in ("runs", "seconds", "connections")
            if (value := getattr(asked, name)) is not None
        }
    )
    if asked.peers:
        options = options._replace(peers=tuple(asked.peers.split(",")))
    options = options._replace(keep=asked.keep or not (asked.quick or asked.peers))
    benchmark = "quick" if asked.quick else "full"
    wanted = asked.only.split(",") if asked.only else None
    chosen = [
        one for one in ALL if (one.name in wanted if wanted else one.when in (benchmark, "both"))
    ]
    if unknown := set(wanted or ()) - {one.name for one in ALL}:
        parser.error(f"--only: no scenario is called {', '.join(sorted(unknown))} (see --list)")
    # Told to stop, end what was started: brokers and servers lead sessions of their own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    logging.getLogger().addHandler(logging.NullHandler())  # brokers are restarted on purpose
    machine.allow_many_files()
    if not asked.machines_network:
        network.leave_the_machines()
    described = machine.describe()
    every: list[Figure] = []
    began = time.monotonic()
    for one in chosen:
        print(f"{time.monotonic() - began:5.0f} s  {one.name}", file=sys.stderr, flush=True)
        try:
            figures = asyncio.run(one.run(options))
        except Exception as error:  # the others are still worth measuring
            traceback.print_exc()
            every.append(Figure(one.name, "", missing=f"{type(error).__name__}: {error}"))
            continue
        every += figures
        if options.keep:
            report.keep(one.name, figures, described)
    report.show(f"Tapewire benchmarks, {time.monotonic() - began:.0f} s", every, described)
    return 0


if __name__ == "__main__":
    sys.exit(main())
