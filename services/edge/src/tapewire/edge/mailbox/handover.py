"""Giving a tray back, for another edge to take it over in order."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from tapewire.broker import CONNECTION_ERRORS
from tapewire.edge.connection.effects import Kind
from tapewire.edge.mailbox.faults import BROKER_FAULTS
from tapewire.edge.mailbox.line import Line
from tapewire.edge.runtime.admin import Admin, Found
from tapewire.edge.runtime.clock import Clock

log = logging.getLogger(__name__)

# To a broker that would have more of them in another order. The rest follows when it has these.
RETURNS_AT_ONCE: Final = 32
RETURNED_WITHIN_S: Final = 1.0
LEFT_WITHIN_S: Final = 5.0  # as long as a successor waits for our word
LOOK_EVERY_S: Final = 0.01


class Handover:
    """Gives back what this edge holds of a tray, and waits for the broker to have it."""

    def __init__(self, admins: Mapping[Kind, Admin], clock: Clock) -> None:
        self._admins = admins
        self._clock = clock

    async def give_back(self, line: Line) -> None:
        """Cancel the consumer and give everything back in the order in which it came.

        Only when the broker has it all may another edge hear that the line is closed here.
        """
        was_consumed = bool(line.consumer_tag)
        if line.is_quorum and was_consumed:
            # What the broker sends behind the cancellation it takes back at once: before what is on
            # its way to us, and that may be much when the broker was slow.
            with suppress(*CONNECTION_ERRORS):
                await line.lane.catch_up()
        in_parts = line.is_quorum and not line.lane.returns_in_order
        many = in_parts and was_consumed and line.tray.unsettled > RETURNS_AT_ONCE
        before = await self._look(line) if many else None
        held = line.tray.give_back()
        at_once = RETURNS_AT_ONCE if in_parts else len(held) or 1
        first, more = held[:at_once], held[at_once:]
        try:
            if line.consumer_tag:
                await line.lane.cancel(line.consumer_tag, [one.tag for one in first])
        except CONNECTION_ERRORS as error:
            log.info("consumer not cancelled: %s", error)  # it went with its AMQP channel
        late = line.tray.give_back()  # what was on its way
        more += late
        returned = (before.messages if before is not None else 0) + len(first)
        while more:
            if in_parts:
                await self._returned(line, returned)
            for one in more[:at_once]:
                line.lane.settle(one.tag, requeue=True)
            returned += len(more[:at_once])
            more = more[at_once:]
        line.lane.flush()
        if line.is_quorum and was_consumed:
            await self._left(line, gave_back=bool(held or late))
        elif late:
            with suppress(*CONNECTION_ERRORS):
                await line.lane.catch_up()  # our word that it is closed travels another way

    async def _left(self, line: Line, *, gave_back: bool) -> None:
        """Wait until the broker counts our consumer no more: all that it held is back by then.

        How many are ready would not tell: new ones come meanwhile. Nor would what came here: the
        broker itself takes back what was on its way when the consumer was cancelled, after the
        round trip of that.

        That nobody consumes it and nothing is in it says a quorum queue also when it cannot be
        asked; where something was given back, it is asked again.
        """
        until = self._clock.now() + LEFT_WITHIN_S
        while self._clock.now() < until:
            with suppress(*BROKER_FAULTS):  # it may be about to choose a new leader of the queue
                found = await self._admins[line.kind].look(line.queue)
                successors = 1 if line.tray.peers else 0
                if found is None or (
                    found.consumers <= successors and not (gave_back and found.is_blank)
                ):
                    return
            await asyncio.sleep(LOOK_EVERY_S)

    async def _returned(self, line: Line, count: int) -> None:
        """Wait until that many are ready again, unless another edge takes them meanwhile."""
        until = self._clock.now() + RETURNED_WITHIN_S
        is_taken = (
            line.shared and line.tray.peers
        )  # who waits for a program's own takes nothing yet
        while not is_taken and self._clock.now() < until:
            found = await self._look(line)
            if found is None or found.messages >= count:
                return
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self, line: Line) -> Found | None:
        try:
            return await self._admins[line.kind].look(line.queue)
        except BROKER_FAULTS as error:
            log.info("not looked at: %s", error)  # the broker requeues by itself what it lost
            return None
