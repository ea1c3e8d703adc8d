"""Looking a line's queue up."""

from collections.abc import Mapping

from tapewire.broker.topology import RECENT_KEPT
from tapewire.contracts.frames import CloseCode
from tapewire.edge.connection.effects import Kind
from tapewire.edge.mailbox.line import Line, connection_of
from tapewire.edge.mailbox.newcomers import Newcomers
from tapewire.edge.runtime.admin import Admin, Found, OutOfReach


class Lookup:
    """Finds queues, declares those that are absent, and notices which are out of reach."""

    def __init__(self, admins: Mapping[Kind, Admin], newcomers: Newcomers) -> None:
        self._admins = admins
        self._newcomers = newcomers

    async def find(self, line: Line) -> Found:
        """Return what is in a line's queue, declared if absent.

        Raises:
            OutOfReach: its node is down. Whoever waits for a recent tray goes on without it.
            TimeoutError: the broker did not answer, for this queue or for any.
        """
        admin = self._admins[line.kind]
        try:
            if line.kind is Kind.INBOX and line.shared:
                found = await self._newcomers.open(line.queue)
            else:
                found = await admin.open(line.queue)
        except (OutOfReach, TimeoutError):
            if admin.is_up:  # else everything is away, and whoever is connected waits
                line.in_reach.clear()
                line.tried.set()
                if line.kind is Kind.RECENT:
                    _send_back(line)  # to be told of the gap, and hear what comes without the tray
            raise
        line.in_reach.set()
        return found

    async def find_again(self, line: Line) -> Found:
        """Return what is in a line's queue after its consumer was lost; raise as ``find``."""
        found = await self.find(line)
        if line.kind is Kind.RECENT and found.consumers == 0 and found.messages > RECENT_KEPT:
            _send_back(line)  # something was dropped meanwhile: to be told
        return found


def _send_back(line: Line) -> None:
    """Have those who are connected come again: their new ``welcome`` says what is the matter."""
    for member in list(line.tray.members):
        connection_of(member).close(CloseCode.DRAINING)
