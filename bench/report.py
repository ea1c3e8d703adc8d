"""What a run prints and keeps."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.figures import Figure, Goal, number

RESULTS: Final = Path(__file__).parent / "results"
BEGIN: Final = "<!-- figures: python -m bench --readme -->"
END: Final = "<!-- end of figures -->"
STYLES: Final = {"reached": "green", "MISSED": "bold red", "MISSING": "yellow"}


def table(title: str, figures: Iterable[Figure], machine: dict[str, Any]) -> Table:
    """Return the figures as a table."""
    versions = ", ".join(f"{name} {v}" for name, v in machine["versions"].items())
    made = Table(
        title=title,
        caption=f"{machine['date']} · {machine['cores']} cores, {machine['cpu']} · "
        f"Python {machine['python']} · network: {machine['network']} · {versions}",
    )
    for column in ("figure", "median", "spread", "unit", "goal", "", "notes"):
        made.add_column(column, justify="right" if column in ("median", "spread") else "left")
    for one in figures:
        goal = str(one.goal) if one.goal else ""
        style = STYLES.get(one.verdict, "")
        if one.missing is not None:
            made.add_row(one.name, "-", "", one.unit, goal, one.verdict, one.missing, style=style)
            continue
        low, high = number(min(one.runs)), number(max(one.runs))
        spread = f"{low} … {high}" if len(one.runs) > 1 else ""
        plain = {k: v for k, v in one.notes.items() if isinstance(v, str | int | float)}
        notes = ", ".join(f"{k} {v}" for k, v in plain.items())
        verdict = f"[{style}]{one.verdict}[/]" if style else one.verdict
        made.add_row(one.name, number(one.median), spread, one.unit, goal, verdict, notes)
    return made


def markdown() -> str:
    """Return what is kept in ``results`` as one Markdown table."""
    lines = [
        "| figure | median | spread | unit | goal | | notes |",
        "|---|---|---|---|---|---|---|",
    ]
    machines: set[str] = set()
    for path in sorted(RESULTS.glob("*.json")):
        kept = json.loads(path.read_text())
        if "figures" not in kept:
            continue
        told = kept["machine"]
        network = told.get("network", "the machine's")
        machines.add(
            f"{told['date']}, {told['cores']} cores of {told['cpu']}, Python {told['python']}, "
            f"network: {network}"
        )
        lines += [_line(one) for one in kept["figures"]]
    return "\n".join([*lines, "", *sorted(machines)])


def write_readme() -> None:
    """Put the table between the marks of ``README.md``."""
    readme = RESULTS.parent / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n{markdown()}\n{END}{after}")


def _line(one: dict[str, Any]) -> str:
    if "missing" in one:
        return f"| {one['name']} | | | {one['unit']} | | not measured | {one['missing']} |"
    goal = Goal(**one["goal"]) if one["goal"] else ""
    many = len(one["runs"]) > 1
    spread = f"{number(one['least'])} … {number(one['most'])}" if many else ""
    plain = [f"{k} {v}" for k, v in one["notes"].items() if isinstance(v, str | int | float)]
    verdict = "**missed**" if one["verdict"] == "MISSED" else one["verdict"]
    cells = (one["name"], number(one["median"]), spread, one["unit"], str(goal), verdict)
    return f"| {' | '.join(cells)} | {', '.join(plain)} |"


def show(title: str, figures: list[Figure], machine: dict[str, Any]) -> None:
    """Print the table."""
    Console(width=180).print(table(title, figures, machine))


def keep(scenario: str, figures: list[Figure], machine: dict[str, Any]) -> None:
    """Write one scenario's figures to ``results``."""
    RESULTS.mkdir(exist_ok=True)
    document = {"scenario": scenario, "machine": machine, "figures": [f.as_json() for f in figures]}
    (RESULTS / f"{scenario}.json").write_text(json.dumps(document, indent=2) + "\n")
