"""What other edges say about this edge's lines, and what this edge says of them."""

from collections.abc import Callable
from typing import Final

from tapewire.edge.connection.effects import Effect, Parcel
from tapewire.edge.mailbox.line import Line
from tapewire.edge.mailbox.relay import Note, Relays
from tapewire.edge.mailbox.state import JOINABLE
from tapewire.edge.mailbox.tray import HOLD_BACK_S
from tapewire.edge.runtime.clock import Clock

# Relays were lost, so something is amiss, and the question or its answer may be lost as well. Order
# is worth some seconds; past them the holder is out of reach, and the broker will give it up.
ANSWER_WITHIN_S: Final = 1.0
ASKS: Final = 5


class Letters:
    """The edges' correspondence.

    Args:
        node: the name of this edge; what it hears of itself it ignores.
        find: returns the line of a queue's name.
        perform: carries out what a tray decided.
        on_ghost: called with a user's and a client's word when that client connected elsewhere.
        on_hang_up: called with a user's word and a connection's id, or none, that are to go.
    """

    def __init__(
        self,
        relays: Relays,
        node: str,
        clock: Clock,
        *,
        find: Callable[[str], Line | None],
        perform: Callable[[Line, list[Effect]], None],
        on_ghost: Callable[[str, str], None],
        on_hang_up: Callable[[str, str], object],
    ) -> None:
        self._relays = relays
        self._node = node
        self._clock = clock
        self._find = find
        self._perform = perform
        self._on_ghost = on_ghost
        self._on_hang_up = on_hang_up
        self.copies_in = 0
        self.queues: dict[str, str] = {}
        """The own queue of each edge that was heard, by its name."""

    def announce(self, line: Line, client: str | None = None) -> None:
        """Say that a line is open here. Relays wait for the holder's answer, at most 250 ms."""
        if line.shared:
            wait = line.tray.hold_back()
            self._clock.after(
                HOLD_BACK_S,
                lambda: self._perform(line, line.tray.release(self._clock.now(), wait)),
            )
        self._relays.opened(line.word, [line.name], client)

    def ask(self, line: Line) -> None:
        """Ask who holds messages of a line to say which, because relays of them were lost."""
        self._ask(line, ASKS)

    def _ask(self, line: Line, times: int) -> None:
        line.expected = len(line.tray.peers)
        wait = line.tray.hold_back()
        self._clock.after(ANSWER_WITHIN_S, lambda: self._not_answered(line, wait, times - 1))
        self._relays.opened(line.word, [line.name], None)

    def _not_answered(self, line: Line, wait: list[Parcel], times: int) -> None:
        if times and line.tray.waits(wait) and line.tray.state in JOINABLE:
            self._ask(line, times)
        elif line.tray.waits(wait):
            self._perform(line, line.tray.release(self._clock.now()))

    def mark(self, line: Line) -> None:
        """Say how far this edge has relayed: what it said last may be lost."""
        if line.shared and line.tray.peers and line.tray.told_so_far:
            self._relays.mark(line.word, line.name, at=(line.epoch, line.tray.told_so_far))

    def closing(self, line: Line) -> None:
        """Say that a line is being given back here: whoever gets its tray should wait for that."""
        if line.has_heirs and (line.tray.told_so_far or line.tray.is_holder):
            self._relays.closing(line.word, line.name)

    def closed(self, line: Line) -> None:
        """Say that a line is closed here."""
        if line.has_heirs:
            self._relays.closed(line.word, line.name)

    def read(self, note: Note) -> None:
        """Take what another edge said."""
        if note.node == self._node or note.to not in ("", self._node):
            return
        if note.queue:
            self.queues[note.node] = note.queue
        if note.word == "hang_up":
            self._on_hang_up(note.user, note.client)
            return
        if note.word == "opened" and note.client:
            self._on_ghost(note.user, note.client)
        for name in note.trays:
            line = self._find(name)
            if line is None:
                continue
            if line.tray.state in JOINABLE:
                self._take(note, line)
            elif note.word == "opened":
                line.tray.peers.add(note.node)
                self.closing(line)  # who asks now has not heard it

    def _take(self, note: Note, line: Line) -> None:
        now = self._clock.now()
        tray = line.tray
        if note.word == "asked":  # by `tapewire inbox`, which is no edge: nothing is relayed to it
            self._answer(line, note.node)
            return
        if note.word == "closed":
            tray.peers.discard(note.node)
            line.answered.set()  # the holder that was asked has gone
            if tray.predecessor.node == note.node:
                self._perform(line, tray.succeed(now))
            return
        if note.word == "closing":
            tray.follow(note.node)
            return
        tray.peers.add(note.node)
        if note.word == "opened":
            self._answer(line, note.node)
        elif note.word == "acked":
            self._perform(line, tray.ack(note.ids, now))
        elif note.end:
            self._take_end(note, line)
        elif note.parcel is not None:
            self.copies_in += 1
            tray.skip = 0  # another edge is the holder: what was to be skipped was its to skip
            if note.to:
                self._perform(line, tray.answer(note.parcel, now))
            else:
                teller, number = note.at
                self._perform(
                    line,
                    tray.copy(note.parcel, now, repeat=note.again, teller=teller, number=number),
                )

    def _take_end(self, note: Note, line: Line) -> None:
        tray = line.tray
        if not note.to:
            self._perform(line, tray.mark(*note.at))
            return
        line.expected -= 1
        if note.holder:
            tray.skip = 0
        if note.holder or not tray.predecessor.is_known:
            tray.predecessor.in_step(*note.at)
        if note.holder or line.expected <= 0:  # all who consume it have answered
            self._perform(line, tray.release(self._clock.now()))
            line.answered.set()

    def _answer(self, line: Line, node: str) -> None:
        holder = line.tray.is_holder
        if holder:
            for held in line.tray.held:
                self._relays.copy(line.word, line.name, held.parcel, to=node)
        at = (line.epoch, line.tray.told_so_far)
        self._relays.end(line.word, line.name, to=node, holder=holder, at=at)
