"""What a scenario is."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from bench.figures import Figure


class Options(NamedTuple):
    """How much is measured.

    Attributes:
        runs: of each measurement; the median counts.
        seconds: of one run.
        connections: of a fan-out.
        quick: leave out what takes long.
    """

    runs: int = 5
    seconds: float = 4.0
    connections: int = 1000
    quick: bool = False


class Scenario(NamedTuple):
    """A name, whether it belongs to the quick benchmark, and how it is run."""

    name: str
    quick: bool
    run: Callable[[Options], Awaitable[list[Figure]]]
