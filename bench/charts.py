"""Pictures of what was measured: the peers of a fan-out, the stages of a delivery."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.figures import Figure
from bench.report import RESULTS

OURS: Final = "tab:blue"
THEIRS: Final = "tab:gray"


def peers(figures: Sequence[Figure], batches: Mapping[int, Sequence[str]]) -> None:
    """Draw deliveries of each peer, a panel for each batch size: its figures' names.

    By itself is a full bar; with eight under way the outline around it.
    """
    pyplot = _pyplot()
    if pyplot is None:
        return
    there = {one.name: one for one in figures if one.missing is None}
    canvas, panels = pyplot.subplots(
        1, len(batches), figsize=(4 * len(batches), 3.6), layout="constrained", sharey=True
    )
    for panel, (batch, names) in zip(panels, batches.items(), strict=True):
        shown = [(name.partition(": ")[2], there[name]) for name in names if name in there]
        labels = [label for label, _ in shown]
        colours = [OURS, *[THEIRS] * len(shown)][: len(shown)]
        at_once = [one.notes["eight_at_once"] / 1e6 for _, one in shown]
        panel.barh(labels, at_once, facecolor="none", edgecolor=colours, label="eight at once")
        panel.barh(labels, [one.median / 1e6 for _, one in shown], color=colours, label="alone")
        panel.set_title("one message at a time" if batch == 1 else f"batches of {batch}")
        panel.set_xlabel("million deliveries/s/core")
        panel.grid(axis="x", alpha=0.3)
    panels[0].invert_yaxis()
    canvas.suptitle(
        "Fan-out to 1000 connections, 200 bytes; full: a batch alone, outline: eight at once"
    )
    canvas.savefig(RESULTS / "fan-out.png", dpi=110)
    pyplot.close(canvas)


def stages(values_ms: Mapping[str, Sequence[float]]) -> None:
    """Draw how the durations of each stage are spread; ``values_ms`` are sorted."""
    pyplot = _pyplot()
    if pyplot is None:
        return
    canvas, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    for stage, values in values_ms.items():
        shares = [100 * (n + 1) / len(values) for n in range(len(values))]
        axes.plot([max(value, 0.01) for value in values], shares, label=stage)
    axes.axhline(99, color="black", linewidth=0.5, linestyle=":")
    axes.set_xscale("log")
    axes.set_xlabel("ms")
    axes.set_ylabel("% of events")
    axes.set_ylim(0, 101)
    axes.set_title("Stages of a delivery, whole fleet on two cores, 50,000 deliveries/s")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize="small")
    canvas.savefig(RESULTS / "latency.png", dpi=110)
    pyplot.close(canvas)


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError:
        print("no pictures: matplotlib is not installed (make bench-peers)")
        return None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot
