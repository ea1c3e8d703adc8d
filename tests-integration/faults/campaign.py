"""Rounds: load, strikes at seeded instants, everybody settles, the audit; and the table of it."""

import asyncio
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

from faults.audit import Verdict
from faults.faults_table import Fault
from faults.target import Absent
from faults.world import World

log = logging.getLogger(__name__)

CALM_S = 2.0  # of load before the first strike and after the last
ROUND_DEADLINE_S = 240.0  # of one fault's strikes; the row says how many were in time
SETTLE_DEADLINE_S = 120.0  # past two ack deadlines, and a half-open socket's silence
DRAINED_DEADLINE_S = 30.0
SHOWN = 10  # findings of a kind


@dataclass(frozen=True)
class Row:
    """What a round came to. `absent`: why the fault could not be caused here."""

    fault: str
    struck: int
    verdict: Verdict
    refused: int = 0
    absent: str = ""


@dataclass(frozen=True)
class Outcome:
    """A whole campaign: its rounds, and the audit of everything at the end, queues included."""

    rows: tuple[Row, ...]
    whole: Verdict

    @property
    def holds(self) -> bool:
        """Whether the promise was kept in every round and at the end."""
        return self.whole.holds and all(row.verdict.holds for row in self.rows)


async def run(
    world: World,
    faults: Iterable[Fault],
    *,
    seed: int,
    settle_s: float = SETTLE_DEADLINE_S,
    ended: Callable[[Row], None] = lambda row: None,
) -> Outcome:
    """Strike a world that is open with each fault in a round of its own, and audit.

    Args:
        ended: called after each round.
    """
    rows: list[Row] = []
    before = await world.target.depths(world.shared)
    for fault in faults:
        row = await _round(world, fault, Random(f"{seed} {fault.name}"), settle_s)
        rows.append(row)
        print(line(row), *world.book.history(row.verdict), sep="\n", file=sys.stderr, flush=True)
        ended(row)
    await world.leave()
    depths = await world.target.drained(world.queues, before, deadline_s=DRAINED_DEADLINE_S)
    return Outcome(tuple(rows), world.book.verdict(depths=depths))


async def _round(world: World, fault: Fault, rng: Random, settle_s: float) -> Row:
    mark, refused, struck = world.book.mark(), _refused(world), 0
    absent = ""
    try:
        async with fault.setting(world) as setting:
            world.begin()
            try:
                async with asyncio.timeout(ROUND_DEADLINE_S):
                    await asyncio.sleep(CALM_S)
                    for _ in range(fault.times):
                        await asyncio.sleep(rng.uniform(0, fault.apart_s))
                        await fault.strike(world, rng, setting)
                        struck += 1
                    await asyncio.sleep(CALM_S)
                    # What the setting puts back in place is no strike: nobody shall wait for it.
                    await world.hush(deadline_s=settle_s)
            except TimeoutError as error:
                print(f"{fault.name}: cut short: {error}", file=sys.stderr)
    except Absent as error:
        absent = str(error)
    await world.settle(mark, deadline_s=settle_s)
    verdict = world.book.verdict(mark)
    return Row(fault.name, struck, verdict, _refused(world) - refused, absent)


def _refused(world: World) -> int:
    return sum(publisher.refused for publisher in world.publishers)


HEAD = (
    f"{'fault':<26}{'struck':>7}{'alerts':>8}{'refused':>9}{'lost':>6}{'double':>8}"
    f"{'disorder':>10}{'longest s':>11}"
)


def line(row: Row) -> str:
    """Return a row of the table."""
    if row.absent:
        return f"{row.fault:<26} NOT STRUCK: {row.absent}"
    v = row.verdict
    return (
        f"{row.fault:<26}{row.struck:>7}{v.alerts:>8}{row.refused:>9}{len(v.lost):>6}"
        f"{len(v.duplicated):>8}{len(v.disordered) + len(v.invented):>10}{v.longest_s:>11.2f}"
        + (f"  +{len(v.overtaken)} out of order by the mailroom" if v.overtaken else "")
    )


def table(outcome: Outcome) -> str:
    """Return the table, and the findings below it. `refused`: `NotConfirmed`, then sent again."""
    whole = Row("all", sum(row.struck for row in outcome.rows), outcome.whole)
    whole = replace(whole, refused=sum(row.refused for row in outcome.rows))
    lines = [HEAD, *(line(row) for row in outcome.rows), line(whole)]
    lines += _findings(outcome.whole)
    lines += ["the promise holds" if outcome.holds else "THE PROMISE IS BROKEN"]
    return "\n".join(lines)


def markdown(row: Row, seed: int, code: str) -> str:
    """Return a row as README.md has it; ``code``: the commit that was struck."""
    if row.absent:
        return f"| {row.fault} | not struck: {row.absent} | | | | | | | {seed} | {code} |"
    v = row.verdict
    disorder = f"{len(v.disordered) + len(v.invented)}"
    disorder += f" +{len(v.overtaken)}" if v.overtaken else ""
    cells = (row.fault, row.struck, v.alerts, row.refused, len(v.lost), len(v.duplicated))
    cells += (disorder, f"{v.longest_s:.1f}", seed, code)
    return "| " + " | ".join(map(str, cells)) + " |"


def _findings(verdict: Verdict) -> Sequence[str]:
    lines: list[str] = []
    for kind in ("lost", "duplicated", "disordered", "invented", "left"):
        found = getattr(verdict, kind)
        lines += [f"{kind}: {sentence}" for sentence in found[:SHOWN]]
        if len(found) > SHOWN:
            lines.append(f"{kind}: and {len(found) - SHOWN} more")
    return lines
