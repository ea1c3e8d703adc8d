"""What a connection writes to, and what was written."""

from collections.abc import Callable
from typing import Protocol


class Wire(Protocol):
    """The socket under a connection (``protocol.Socket``)."""

    @property
    def compressed(self) -> bool:
        """Whether deflated frames may be sent."""
        ...

    @property
    def keeps_window(self) -> bool:
        """Whether they may refer to those before them."""
        ...

    def write(self, frames: bytes) -> None:
        """Write whole frames."""

    @property
    def straight(self) -> Callable[[bytes], object]:
        """What writes frames without looking; for a wire that is open and reads."""
        ...

    def hang_up(self, code: int, reason: str) -> None:
        """Send a close frame and end."""


class Tally:
    """What this process wrote, counted without a metric's cost per message."""

    __slots__ = ("bytes", "closed", "conflated", "critical", "dropped", "live", "recent")

    def __init__(self) -> None:
        self.live = self.recent = self.critical = self.bytes = self.conflated = self.dropped = 0
        self.closed: dict[int, int] = {}
