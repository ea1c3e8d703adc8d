"""What a fleet is asked to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MOST_EDGES = 16  # processes on one machine; more is for more machines


@dataclass(frozen=True)
class Options:
    """The wishes of whoever starts a fleet.

    Attributes:
        run_dir: everything that the fleet writes is below it.
        edges: edge processes.
        demo: simulated market, a strategy that trades on it, tokens for whoever asks.
        replay: recorded prices that the market plays, instead of simulated ones.
        watch: pid of a process whose end is the fleet's, too; None: it runs until it is told.
    """

    run_dir: Path
    edges: int = 1
    demo: bool = True
    replay: Path | None = None
    watch: int | None = None

    @property
    def logs(self) -> Path:
        """A log per program, `<name>.log`."""
        return self.run_dir / "logs"

    @property
    def journal(self) -> Path:
        """What the supervisor said in this run."""
        return self.run_dir / "journal.jsonl"

    @property
    def state(self) -> Path:
        """The identities of the supervisor and its programs, current at every instant."""
        return self.run_dir / "processes.json"

    @property
    def held(self) -> Path:
        """A directory; a program stays down while a file here has its name."""
        return self.run_dir / "held"
