from tapewire.contracts.frames import CloseCode, Heartbeat
from tapewire.edge.connection.connection import Connection
from tapewire.edge.connection.flusher import Flusher, share
from tapewire.edge.connection.limits import Limits
from tapewire.edge.connection.session import Phase
from tapewire.edge.transport.frames import TEXT, Message, frame
from tapewire.edge.transport.wire import Tally


class Wire:
    compressed = False
    keeps_window = False

    def __init__(self):
        self.written = []

    def write(self, frames):
        self.written.append(frames)

    @property
    def straight(self):
        return self.write

    def hang_up(self, code, reason):
        self.written.append(code)


class Turn:
    """A loop that runs what is due when it is told to."""

    def __init__(self):
        self.due = []
        self.flusher = Flusher(self.due.append)
        self.tally = Tally()

    def end(self):
        while self.due:
            self.due.pop(0)()

    def connection(self, quick=True):
        wire = Wire()
        made = Connection(
            *(wire, self.flusher, self.tally, Limits()),
            now=0.0,
            address="",
            on_close=lambda _: None,
        )
        made.session.phase = Phase.LIVE
        made.quick = quick
        return made, wire


def quote(symbol):
    return Message(b'{"type":"market_data","symbol":"%s"}' % symbol.encode())


def frames(*symbols):
    return b"".join(quote(symbol).plain for symbol in symbols)


def test_quotes_of_one_turn_are_one_write_to_all_who_hear_the_same():
    turn = Turn()
    (alice, to_alice), (bob, to_bob) = turn.connection(), turn.connection(quick=False)
    both, again, one = {alice: None, bob: None}, {bob: None, alice: None}, {alice: None}
    for hearers, symbol in ((both, "A"), (one, "B"), (again, "C")):
        share(hearers, symbol, quote(symbol))
    assert to_alice.written == []
    turn.end()
    assert to_alice.written == [frames("A", "C"), frames("B")]
    assert b"".join(to_bob.written) == frames("A", "C")
    assert turn.tally.live == 5
    assert turn.tally.bytes == len(frames("A", "C")) * 2 + len(frames("B"))


def test_a_frame_of_its_own_keeps_its_place_among_quotes():
    turn = Turn()
    alice, to_alice = turn.connection()
    bob, to_bob = turn.connection()
    everyone = {alice: None, bob: None}
    share(everyone, "A", quote("A"))
    alice.say(Heartbeat())
    share(everyone, "B", quote("B"))
    turn.end()
    own = frame(TEXT, b'{"type":"heartbeat"}')
    assert b"".join(to_alice.written) == frames("A") + own + frames("B")
    assert b"".join(to_bob.written) == frames("A", "B")


def test_a_connection_that_lags_keeps_the_newest_of_each_symbol():
    turn = Turn()
    alice, to_alice = turn.connection()
    alice.on_pause()
    for symbol in ("A", "B", "A"):
        share({alice: None}, symbol, quote(symbol))
        turn.end()
    assert to_alice.written == []
    alice.on_resume()
    turn.end()
    assert b"".join(to_alice.written) == frames("B", "A")
    assert turn.tally.conflated == 1


def test_what_was_due_goes_before_a_close_and_nothing_after_it():
    turn = Turn()
    alice, to_alice = turn.connection()
    share({alice: None}, "A", quote("A"))
    alice.close(CloseCode.DRAINING)
    turn.end()
    share({alice: None}, "B", quote("B"))
    turn.end()
    assert to_alice.written == [frames("A"), CloseCode.DRAINING]
