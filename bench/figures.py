"""A figure: several runs of one measurement, their median and spread, and the goal it has. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Goal:
    """What a figure should reach; ``way`` says on which side it is good."""

    value: float
    way: Literal["at least", "at most"]

    def met_by(self, value: float) -> bool:
        """Return whether ``value`` is on the good side."""
        return value >= self.value if self.way == "at least" else value <= self.value

    def __str__(self) -> str:
        """Return it as the table shows it."""
        return f"{'≥' if self.way == 'at least' else '≤'} {number(self.value)}"


def at_least(value: float) -> Goal:
    """Return a goal for what should be large."""
    return Goal(value, "at least")


def at_most(value: float) -> Goal:
    """Return a goal for what should be small."""
    return Goal(value, "at most")


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    Attributes:
        name: what was measured.
        unit: of ``runs``.
        runs: one value for each run.
        notes: what else the runs told (CPU per delivery, shares, counts).
        missing: why there is no value, such as a peer that is not installed.
    """

    name: str
    unit: str
    runs: tuple[float, ...] = ()
    goal: Goal | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    missing: str | None = None

    @property
    def median(self) -> float:
        """The median of the runs."""
        return statistics.median(self.runs)

    @property
    def verdict(self) -> str:
        """``reached``, ``MISSED``, or nothing where there is no goal."""
        if self.missing is not None:
            return "MISSING" if self.goal else ""
        if self.goal is None:
            return ""
        return "reached" if self.goal.met_by(self.median) else "MISSED"

    def as_json(self) -> dict[str, Any]:
        """Return it as it is kept in ``results``."""
        if self.missing is not None:
            return {"name": self.name, "unit": self.unit, "missing": self.missing}
        return {
            "name": self.name,
            "unit": self.unit,
            "median": round(self.median, 4),
            "least": round(min(self.runs), 4),
            "most": round(max(self.runs), 4),
            "runs": [round(run, 4) for run in self.runs],
            "goal": asdict(self.goal) if self.goal else None,
            "verdict": self.verdict,
            "notes": self.notes,
        }


def ratio(name: str, ours: Figure | None, theirs: Figure | None, goal: Goal | None) -> Figure:
    """Return how many times ``theirs`` is ``ours``, by their medians."""
    if ours is None or theirs is None or ours.missing or theirs.missing:
        return Figure(name, "times", goal=goal, missing="one side did not run")
    return Figure(name, "times", (ours.median / theirs.median,), goal)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` (0 to 1) of sorted ``values`` do not exceed."""
    if not values:
        return float("nan")
    return values[min(len(values) - 1, int(share * len(values)))]


def number(value: float) -> str:
    """Return a number with about three digits that mean something."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
