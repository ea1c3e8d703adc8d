"""Looks after the lines: repeats what nobody acknowledged, and waits for them when draining."""

from typing import Final

from tapewire.edge.mailbox.lines import Lines
from tapewire.edge.mailbox.mailboxes import Mailboxes
from tapewire.edge.runtime.clock import Clock

SWEEP_EVERY_S: Final = 1.0
RENEW_EVERY_S: Final = 86_400.0


class Office:
    """Component: the lines' sweep, drain and end."""

    name = "mailboxes"

    def __init__(self, lines: Lines, mailboxes: Mailboxes, clock: Clock) -> None:
        self._lines = lines
        self._mailboxes = mailboxes
        self._clock = clock

    async def start(self) -> None:
        """Begin to sweep."""
        self._clock.every(SWEEP_EVERY_S, self._lines.sweep)
        self._clock.every(RENEW_EVERY_S, self._mailboxes.renew)

    async def drain(self) -> None:
        """Wait until every delivery is given back, in order; the connections are closed by now."""
        await self._lines.emptied()

    async def stop(self) -> None:
        """Close the consuming AMQP channels."""
        await self._lines.close()

    def health(self) -> str | None:
        """Return None: the broker's links speak for it."""
        return None
