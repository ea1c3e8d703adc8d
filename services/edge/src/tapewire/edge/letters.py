"""What other edges say about this edge's lines, and what this edge says of them."""

from collections.abc import Callable

from tapewire.edge.clock import Clock
from tapewire.edge.effects import Effect
from tapewire.edge.line import Line
from tapewire.edge.mailbox_state import JOINABLE
from tapewire.edge.relay import Note, Relays
from tapewire.edge.tray import HOLD_BACK_S


class Letters:
    """The edges' correspondence.

    Args:
        node: the name of this edge; what it hears of itself it ignores.
        find: returns the line of a queue's name.
        perform: carries out what a tray decided.
        on_ghost: called with a user's and a client's word when that client connected elsewhere.
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
    ) -> None:
        self._relays = relays
        self._node = node
        self._clock = clock
        self._find = find
        self._perform = perform
        self._on_ghost = on_ghost
        self.copies_in = 0

    def announce(self, line: Line, client: str | None = None) -> None:
        """Say that a line is open here. Relays wait for the holder's answer, at most 250 ms."""
        if line.shared:
            line.tray.hold_back()
            self._clock.after(
                HOLD_BACK_S,
                lambda: self._perform(line, line.tray.release(self._clock.now())),
            )
        self._relays.opened(line.word, [line.name], client)

    def closed(self, line: Line) -> None:
        """Say that a line is closed here."""
        if line.shared:
            self._relays.closed(line.word, line.name)

    def read(self, note: Note) -> None:
        """Take what another edge said."""
        if note.node == self._node or note.to not in ("", self._node):
            return
        if note.word == "opened" and note.client:
            self._on_ghost(note.user, note.client)
        for name in note.trays:
            line = self._find(name)
            if line is not None and line.tray.state in JOINABLE:
                self._take(note, line)

    def _take(self, note: Note, line: Line) -> None:
        now = self._clock.now()
        tray = line.tray
        if note.word == "closed":
            tray.peers.discard(note.node)
            line.answered.set()  # the holder that was asked has gone
            return
        tray.peers.add(note.node)
        if note.word == "opened":
            self._answer(line, note.node)
        elif note.word == "acked":
            self._perform(line, tray.ack(note.ids, now))
        elif note.end:
            line.expected -= 1
            if note.holder:
                tray.skip = 0
            if note.holder or line.expected <= 0:  # all who consume it have answered
                self._perform(line, tray.release(now))
                line.answered.set()
        elif note.parcel is not None:
            self.copies_in += 1
            tray.skip = 0  # another edge is the holder: what was to be skipped was its to skip
            if note.to:
                self._perform(line, tray.answer(note.parcel, now))
            else:
                self._perform(line, tray.copy(note.parcel, now, repeat=note.again))

    def _answer(self, line: Line, node: str) -> None:
        holder = line.tray.is_holder
        if holder:
            for held in line.tray.held:
                self._relays.copy(line.word, line.name, held.parcel, to=node)
        self._relays.end(line.word, line.name, to=node, holder=holder)
