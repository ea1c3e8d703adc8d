"""Pictures of how cost grows, and what joining gains, in ``results``."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from bench.figures import Figure
from bench.report import RESULTS


class Panel(NamedTuple):
    """One pair of axes.

    Attributes:
        y: what is drawn, with its unit.
        curves: the ends of their figures' names, and what each is called.
        per: draw each point divided by its x, times this; 0: as it is.
    """

    y: str
    curves: Mapping[str, str]
    per: float = 0


class Picture(NamedTuple):
    """A file of ``results``: panels side by side over the same x."""

    title: str
    x: str
    panels: tuple[Panel, ...]
    log: bool = True


PICTURES: Final = {
    "growth-connections": Picture(
        "One worker, 200-byte messages to all connections, four under way",
        "connections",
        (
            Panel(
                "deliveries in a second of CPU",
                {
                    "connections: one at a time": "one message at a time",
                    "connections: batches of 5": "batches of 5",
                },
            ),
            Panel("memory of a connection, KB", {"connections: memory": "edge"}, per=1024),
        ),
    ),
    "growth-symbols": Picture(
        "A bundle of market data to 1000 connections that hear all of it",
        "symbols in the bundle",
        (Panel("deliveries in a second of CPU", {"symbols of a bundle": "one worker"}),),
    ),
    "growth-users": Picture(
        "Users who open their quorum inbox and their recent tray for the first time",
        "users",
        (
            Panel("users opened a second, since the last point", {"users: first openings": ""}),
            Panel(
                "memory of a user, KB",
                {"users: memory of the edge": "edge", "users: memory of the broker": "broker"},
                per=1024,
            ),
        ),
    ),
    "growth-workers": Picture(
        "Batches of 5 to 1000 connections; the second worker shares its core with all the rest",
        "workers",
        (
            Panel("deliveries/s on two cores", {"workers: by the clock": ""}),
            Panel("deliveries in a second of CPU", {"workers: by CPU": ""}),
        ),
        log=False,
    ),
    "joining": Picture(
        "Batches of 5 to 1000 connections",
        "batches under way",
        (
            Panel(
                "deliveries/s of a core",
                {
                    "batches of 5: Tapewire edge": "Tapewire edge",
                    "batches of 5: Centrifugo": "Centrifugo",
                },
            ),
        ),
    ),
}


def draw(figures: Sequence[Figure]) -> None:
    """Draw what there is; nothing without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        print("no plots: matplotlib is not installed (make bench-peers)")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    for name, picture in PICTURES.items():
        found = [[_curve(figures, end) for end in panel.curves] for panel in picture.panels]
        if not any(any(curves) for curves in found):
            continue
        canvas, axes = pyplot.subplots(
            *(1, len(picture.panels)),
            figsize=(5.4 * len(picture.panels) + 0.6, 4),
            layout="constrained",
            squeeze=False,
        )
        canvas.suptitle(picture.title, fontsize="medium")
        for one, panel, curves in zip(axes[0], picture.panels, found, strict=True):
            _fill(one, picture, panel, curves)
        canvas.savefig(RESULTS / f"{name}.png", dpi=110)
        pyplot.close(canvas)


def _fill(axes: Any, picture: Picture, panel: Panel, curves: Sequence[Mapping[int, float]]) -> None:
    from matplotlib.ticker import EngFormatter, NullLocator

    ticks: set[int] = set()
    for points, label in zip(curves, panel.curves.values(), strict=True):
        if points:
            ys = [y * panel.per / x if panel.per else y for x, y in points.items()]
            axes.plot(list(points), ys, "o-", label=label)
            ticks |= set(points)
    if picture.log:
        axes.set_xscale("log")
    if sum(map(bool, curves)) > 1:
        axes.legend(loc="best")
    axes.set_xticks(sorted(ticks), [f"{x:,}" for x in sorted(ticks)])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(picture.x + (" (logarithmic)" if picture.log else ""))
    axes.set_ylabel(panel.y)
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3)


def _curve(figures: Sequence[Figure], end: str) -> dict[int, float]:
    """Return the points of the figure whose name ends so; empty where it is not there."""
    for one in figures:
        if one.name.endswith(end) and one.missing is None:
            return {int(x): y for x, y in one.notes.get("points", {}).items()}
    return {}
