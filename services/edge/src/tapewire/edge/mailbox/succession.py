"""Taking a tray over from the edge that held it, in order."""

import asyncio
from collections.abc import Mapping
from typing import Final

from tapewire.edge.connection.effects import Kind
from tapewire.edge.mailbox.faults import BROKER_FAULTS
from tapewire.edge.mailbox.line import Line
from tapewire.edge.mailbox.presence import LOOK_EVERY_S, LOOK_FIRST_AFTER_S, Presence
from tapewire.edge.runtime.admin import Admin, Found
from tapewire.edge.runtime.clock import Clock

OUTWAITING_S: Final = 0.01  # between two looks
LOOKS_WITHOUT_HOLDER: Final = 5  # at most; new messages may come at each of them
HOLDER_LEAVES_WITHIN_S: Final = 2.0  # longer, and it is stuck: the broker will give it up
# How long a new holder waits for the last one to say that it has given everything back. One that
# was killed is not waited for; one that is there and says nothing has lost its way to say it.
SUCCEED_WITHIN_S: Final = 5.0
# A broker that does not say whether the last one has ended is asked for longer: what that one gives
# back is as late as its answers. Past this, late and in disorder is better than later still.
SILENCE_S: Final = 60.0


class Succession:
    """Waits for a tray's last holder: before this edge consumes it, and once it delivers here.

    Args:
        admins: ask the broker what is in a queue, and how many consume it.
        presence: asks whether an edge is there.
        queues: the own queue of each edge that was heard, by its name.
    """

    def __init__(
        self,
        admins: Mapping[Kind, Admin],
        presence: Presence,
        queues: dict[str, str],
        clock: Clock,
    ) -> None:
        self._admins = admins
        self._presence = presence
        self._queues = queues
        self._clock = clock

    async def outwait(self, line: Line) -> Found | None:
        """Wait until who consumes the queue lets it go (or answers); return what is in it then.

        An edge that gives a tray back does not answer any more. Who consumed before all is back
        would get what comes behind it first. Who has neither gone nor answered when the time is up
        is waited for later, when the tray comes here.

        A classic queue has no consumer any more before it has back what that one held: the two are
        one write of the last holder, and looks may come between. So it is looked at until two looks
        find the same. On a busy machine that may still be too little: the count is no promise.
        """
        until, found, gone = self._clock.now() + HOLDER_LEAVES_WITHIN_S, None, 0
        while not line.answered.is_set():
            await asyncio.sleep(OUTWAITING_S)
            before, found = found, await self._admins[line.kind].look(line.queue)
            if found is None:
                break
            gone = gone + 1 if found.consumers == 0 else 0
            if gone and (line.is_quorum or found == before or gone == LOOKS_WITHOUT_HOLDER):
                if line.is_quorum and found.is_blank:  # or the broker does not know
                    line.tray.predecessor.suppose(1)
                break
            if not gone and self._clock.now() >= until:
                line.tray.predecessor.suppose(found.consumers)
                break
        return found

    async def ended(self, line: Line) -> bool:
        """Wait until the last holder of what comes here now is gone, or its time is up.

        Return whether it was waited for until then, and not given up in the meantime.
        """
        last = line.tray.predecessor
        until, pause_s = self._clock.now() + SUCCEED_WITHIN_S, LOOK_FIRST_AFTER_S
        at_most = self._clock.now() + SILENCE_S
        if (wait := last.wait) is None:
            return False
        while last.wait is wait and self._clock.now() < until:
            if (is_gone := await self._is_gone(line)) is True:
                break
            if is_gone is None and line.claims:
                until = max(until, min(at_most, self._clock.now() + SUCCEED_WITHIN_S))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LOOK_EVERY_S)
        return last.wait is wait

    async def _is_gone(self, line: Line) -> bool | None:
        """Whether the last holder has given all back, or is not there any more; None: not known.

        Of a quorum queue the broker knows: beside the consumer that it delivers to, it counts only
        those that have something to give back. As this edge consumes it, none is no answer.
        """
        last = line.tray.predecessor
        if line.is_quorum or not last.node:
            try:
                found = await self._admins[line.kind].look(line.queue)
            except BROKER_FAULTS:
                return None
            if found is not None and line.is_quorum and found.is_blank:
                return None
            return found is None or found.consumers <= (1 if line.is_quorum else last.others)
        queue = self._queues.get(last.node)
        if queue is None or await self._presence.has(queue):
            return False
        self._queues.pop(last.node, None)
        return True
