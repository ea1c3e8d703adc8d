"""Pictures of how cost grows, and what joining gains, in ``results``."""

from collections.abc import Sequence
from typing import Final

from bench.figures import Figure
from bench.report import RESULTS

PICTURES: Final = {
    "growth-connections": (
        "Connections of one worker",
        ("connections: one at a time", "connections: batches of 5"),
        "connections: memory",
    ),
    "growth-symbols": ("Symbols of a bundle, 1000 connections hear all", ("symbols",), None),
    "growth-users": (
        "Users with a quorum inbox and a recent tray",
        ("users with quorum inboxes: first openings",),
        "users with quorum inboxes: memory of the edge",
    ),
    "growth-workers": ("Workers on two cores, batches of 5", ("workers",), None),
    "joining": (
        "Batches of 5 under way, 1000 connections",
        ("batches of 5: Tapewire edge", "batches of 5: Centrifugo"),
        None,
    ),
}
"""File → title, curves on the left axis, curve on the right one; curves by part of their name."""


def draw(figures: Sequence[Figure]) -> None:
    """Draw what there is; nothing without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        print("no plots: matplotlib is not installed (make bench-peers)")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    for name, (title, left, right) in PICTURES.items():
        if not any(curve in one.name for one in figures for curve in left):
            continue
        canvas, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
        for curve in left:
            _curve(axes, figures, curve, "o-")
        axes.set_title(title)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        if right is not None:
            second = axes.twinx()
            _curve(second, figures, right, "s--", colour="tab:gray")
            second.set_ylim(bottom=0)
        canvas.savefig(RESULTS / f"{name}.png", dpi=110)
        pyplot.close(canvas)


def _curve(axes, figures: Sequence[Figure], part: str, style: str, colour: str | None = None):  # type: ignore[no-untyped-def]
    for one in figures:
        if part in one.name and one.missing is None:
            points = {int(x): y for x, y in one.notes.get("points", {}).items()}
            label = one.name.removeprefix("growth, ").partition(": ")[2] or one.name
            axes.plot(list(points), list(points.values()), style, label=label, color=colour)
            if len(points) > 3:
                axes.set_xscale("log")
            axes.set_xticks(list(points), [f"{x:,}" for x in points], minor=False)
            axes.set_xticks([], minor=True)
            axes.set_ylabel(f"{one.unit} ({label})" if colour else one.unit)
            axes.legend(loc="upper left" if colour is None else "lower right")
