"""What a scenario is."""

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from bench.figures import Figure


class Options(NamedTuple):
    """How much is measured.

    Attributes:
        runs: of each measurement; the median counts.
        seconds: of one run.
        connections: of a fan-out.
        quick: leave out what takes long.
        keep: write figures and pictures to ``bench/results``.
        peers: parts of the names of those that a fan-out is measured with; none: all.
    """

    runs: int = 5
    seconds: float = 2.0
    connections: int = 1000
    quick: bool = False
    keep: bool = True
    peers: tuple[str, ...] = ()


class Scenario(NamedTuple):
    """A name, the benchmarks that it belongs to, and how it is run."""

    name: str
    when: Literal["quick", "full", "both"]
    run: Callable[[Options], Awaitable[list[Figure]]]
